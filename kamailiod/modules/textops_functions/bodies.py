"""textops: reading, replacing and filtering bodies, multipart ones included.

Owns the script functions; the grammar of multipart bodies is in sip/body.py.
"""

from __future__ import annotations

import re

from kamailiod.modules.textops_functions.message_text import current_body
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Variable, kemi
from kamailiod.script.services import Services
from kamailiod.sip.body import DEFAULT_BOUNDARY, Multipart, Part, media_type, parse_multipart

REPLY_BODY = "reply_body"
"""The shared note with (body, content type) for replies that are made here."""

_FORWARDING = Route.REQUEST | Route.FAILURE | Route.BRANCH
_ROUTES = _FORWARDING | Route.ONREPLY | Route.REPLY
_HELD = re.compile(rb"^(?:a=(?:sendonly|inactive)|c=IN IP4 0\.0\.0\.0)[ \t]*\r?$", re.MULTILINE)


class Bodies:
    """The body functions of textops: 1 when done or true, else -1."""

    services: Services

    @kemi("textops.has_body", native=())
    def has_body(self, context: Context) -> int:
        """Whether the message has a body."""
        return 1 if context.message.body else -1

    @kemi("textops.has_body_type", native=())
    def has_body_type(self, context: Context, content_type: bytes) -> int:
        """Whether the message has a body of this media type."""
        message = context.message
        wanted = media_type(content_type)
        return 1 if message.body and media_type(message.content_type) == wanted else -1

    @kemi(native="has_body")
    def native_has_body(self, context: Context, content_type: bytes = b"") -> int:
        """Whether the message has a body, and of this media type when one is given."""
        if content_type:
            return self.has_body_type(context, content_type)
        return self.has_body(context)

    @kemi("textops.set_body", routes=_ROUTES)
    def set_body(self, context: Context, body: bytes, content_type: bytes) -> int:
        """Replace the body and its Content-Type."""
        if not body or not content_type:
            return -1
        _store(context, body, content_type)
        return 1

    @kemi("textops.set_body_hex")
    def set_body_hex(self, context: Context, digits: bytes, content_type: bytes) -> int:
        """Replace the body, given in hexadecimal digits, and its Content-Type."""
        return self.set_body(context, _from_hex(digits), content_type)

    @kemi("textops.set_reply_body", routes=_FORWARDING)
    def set_reply_body(self, context: Context, body: bytes, content_type: bytes) -> int:
        """Set the body of the replies that are made here for this request."""
        if not body or not content_type:
            return -1
        context.shared.notes[REPLY_BODY] = (body, content_type)
        return 1

    @kemi("textops.set_reply_body_hex", routes=_FORWARDING)
    def set_reply_body_hex(self, context: Context, digits: bytes, content_type: bytes) -> int:
        """Set the body of the replies made here, given in hexadecimal digits."""
        return self.set_reply_body(context, _from_hex(digits), content_type)

    @kemi("textops.filter_body")
    def filter_body(self, context: Context, content_type: bytes) -> int:
        """Keep of a multipart body only the content of its first part of this media type."""
        wanted = media_type(content_type)
        if media_type(_content_type(context)) == wanted:
            return 1
        part = _part(context, wanted)
        if part is None:
            return -1
        _store(context, part.content, part.media_type)
        return 1

    @kemi("textops.is_audio_on_hold")
    def is_audio_on_hold(self, context: Context) -> int:
        """Whether the SDP body has an audio stream that is held (sendonly, inactive, 0.0.0.0)."""
        body = context.message.body
        if media_type(context.message.content_type) != b"application/sdp":
            part = _part(context, b"application/sdp")
            body = part.content if part is not None else b""
        session, *streams = re.split(rb"(?m)^(?=m=)", body)
        for stream in streams:
            if stream.startswith(b"m=audio"):
                described = stream if b"\nc=" in stream else session + stream
                if _HELD.search(described):
                    return 1
        return -1

    @kemi("textops.set_body_multipart_mode", native=())
    def set_body_multipart_mode(self, context: Context) -> int:
        """Make the body multipart, what it is now becoming the first part."""
        return self._make_multipart(context, b"", b"", b"")

    @kemi("textops.set_body_multipart_boundary", native=())
    def set_body_multipart_boundary(self, context: Context, boundary: bytes) -> int:
        """Make the body multipart with this boundary."""
        return self._make_multipart(context, b"", b"", boundary)

    @kemi("textops.set_body_multipart_content", native=())
    def set_body_multipart_content(
        self, context: Context, body: bytes, content_type: bytes
    ) -> int:
        """Replace the body by a multipart one with this first part."""
        return self._make_multipart(context, body, content_type, b"")

    @kemi("textops.set_body_multipart", routes=_FORWARDING)
    def set_body_multipart(
        self,
        context: Context,
        body: bytes = b"",
        content_type: bytes = b"",
        boundary: bytes = b"",
    ) -> int:
        """Replace the body by a multipart one with this first part and boundary."""
        return self._make_multipart(context, body, content_type, boundary)

    @kemi("textops.append_body_part", native=())
    def append_body_part(self, context: Context, body: bytes, content_type: bytes) -> int:
        """Append a part to a multipart body."""
        return self.append_body_part_cd(context, body, content_type)

    @kemi("textops.append_body_part_cd", native="append_body_part", routes=_FORWARDING)
    def append_body_part_cd(
        self, context: Context, body: bytes, content_type: bytes, disposition: bytes = b""
    ) -> int:
        """Append a part with a Content-Disposition to a multipart body."""
        multipart = _multipart(context)
        if multipart is None or not body or not content_type:
            return -1
        headers = [b"Content-Type: " + content_type]
        if disposition:
            headers.append(b"Content-Disposition: " + disposition)
        multipart.parts.append(Part(headers, body))
        context.edits.body = bytes(multipart)
        return 1

    @kemi("textops.append_body_part_hex", native=())
    def append_body_part_hex(self, context: Context, digits: bytes, content_type: bytes) -> int:
        """Append a part, given in hexadecimal digits, to a multipart body."""
        return self.append_body_part_cd(context, _from_hex(digits), content_type)

    @kemi("textops.append_body_part_hex_cd", native="append_body_part_hex", routes=_FORWARDING)
    def append_body_part_hex_cd(
        self, context: Context, digits: bytes, content_type: bytes, disposition: bytes = b""
    ) -> int:
        """Append a part with a Content-Disposition, given in hexadecimal digits."""
        return self.append_body_part_cd(context, _from_hex(digits), content_type, disposition)

    @kemi("textops.remove_body_part", routes=_FORWARDING)
    def remove_body_part(self, context: Context, content_type: bytes) -> int:
        """Remove the parts of this media type from a multipart body."""
        multipart = _multipart(context)
        wanted = media_type(content_type)
        if multipart is None:
            return -1
        kept = [part for part in multipart.parts if part.media_type != wanted]
        if len(kept) == len(multipart.parts):
            return -1
        multipart.parts = kept
        context.edits.body = bytes(multipart)
        return 1

    @kemi("textops.get_body_part", routes=_ROUTES)
    def get_body_part(self, context: Context, content_type: bytes, variable: Variable) -> int:
        """Store the content of the first part of this media type in a variable."""
        part = _part(context, media_type(content_type))
        return self._set(context, variable, part.content) if part is not None else -1

    @kemi("textops.get_body_part_raw", routes=_ROUTES)
    def get_body_part_raw(self, context: Context, content_type: bytes, variable: Variable) -> int:
        """Store the first part of this media type, headers included, in a variable."""
        part = _part(context, media_type(content_type))
        return self._set(context, variable, bytes(part)) if part is not None else -1

    def _set(self, context: Context, variable: Variable, value: bytes) -> int:
        accessor = self.services.variables.compile(variable)
        return 1 if accessor is not None and accessor.set(context, value) else -1

    def _make_multipart(
        self, context: Context, body: bytes, content_type: bytes, boundary: bytes
    ) -> int:
        first_body = body or current_body(context)
        first_type = content_type or _content_type(context)
        if bool(body) != bool(content_type) or not first_body or not first_type:
            return -1
        part = Part([b"Content-Type: " + first_type], first_body)
        multipart = Multipart(boundary or DEFAULT_BOUNDARY, [part])
        _store(context, bytes(multipart), multipart.content_type)
        if b"mime-version" not in context.message.index:
            context.edits.end.append(b"Mime-Version: 1.0")
        return 1


def _content_type(context: Context) -> bytes:
    # The type may have been set by an earlier function, which leaves it in an added line.
    for line in reversed(context.edits.end):
        if line[:13].lower() == b"content-type:":
            return line[13:].strip()
    return context.message.content_type


def _store(context: Context, body: bytes, content_type: bytes) -> None:
    edits = context.edits
    edits.remove_header(context.message, b"content-type")
    edits.end = [line for line in edits.end if line[:13].lower() != b"content-type:"]
    edits.end.append(b"Content-Type: " + content_type)
    edits.body = body


def _multipart(context: Context) -> Multipart | None:
    return parse_multipart(_content_type(context), current_body(context))


def _part(context: Context, wanted: bytes) -> Part | None:
    multipart = _multipart(context)
    if multipart is None:
        return None
    return next((part for part in multipart.parts if part.media_type == wanted), None)


def _from_hex(digits: bytes) -> bytes:
    try:
        return bytes.fromhex(digits.decode("ascii", "replace"))
    except ValueError:
        return b""
