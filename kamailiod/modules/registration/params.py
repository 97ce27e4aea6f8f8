"""The modparams of the registrar, with Kamailio's names, types and defaults."""

from __future__ import annotations

from dataclasses import dataclass

from kamailiod.modules.registration.extensions import ExtensionRules
from kamailiod.modules.registration.saving import SavingRules
from kamailiod.script.module import Params


@dataclass(frozen=True, slots=True)
class RegistrarParams(Params):
    """Kamailio's modparams of registrar."""

    default_expires: int = 3600
    default_expires_range: int = 0
    expires_range: int = 0
    default_q: int = -1
    append_branches: int = 1
    case_sensitive: int = 0
    realm_prefix: str = ""
    min_expires: int = 60
    max_expires: int = 0
    received_param: str = "received"
    received_avp: str = ""
    max_contacts: int = 0
    retry_after: int = 0
    sock_mode: int = 0
    sock_flag: int = -1
    sock_hdr_name: str = ""
    method_filtering: int = 0
    use_path: int = 0
    path_mode: int = 2
    path_use_received: int = 0
    path_check_local: int = 0
    xavp_cfg: str = ""
    xavp_rcd: str = ""
    xavp_rcd_mask: int = 0
    gruu_enabled: int = 1
    outbound_mode: int = 0
    regid_mode: int = 0
    flow_timer: int = 0
    contact_max_size: int = 512
    event_callback: str = ""
    lookup_filter_mode: int = 0
    min_expires_mode: int = 0
    use_expired_contacts: int = 0

    def extension_rules(self) -> ExtensionRules:
        """Return what of these the extensions need."""
        return ExtensionRules(
            self.outbound_mode, self.regid_mode, self.flow_timer, bool(self.gruu_enabled)
        )

    def saving_rules(self, cseq_delay: int, server_id: int) -> SavingRules:
        """Return what of these saving needs."""
        return SavingRules(
            default_expires=self.default_expires,
            default_expires_range=self.default_expires_range,
            expires_range=self.expires_range,
            min_expires=self.min_expires,
            min_expires_mode=self.min_expires_mode,
            max_expires=self.max_expires,
            default_q=self.default_q,
            max_contacts=self.max_contacts,
            retry_after=self.retry_after,
            contact_max_size=self.contact_max_size,
            cseq_delay=cseq_delay,
            server_id=server_id,
            received_name=self.received_param.encode(),
        )
