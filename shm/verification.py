"""Every invariant of a hash map, checked while its locks are held; it changes nothing."""

from shm.allocator import Allocator
from shm.chain import Chains, Record
from shm.stripe import Stripes


def reachable(chains: Chains, stripes: Stripes) -> set[int]:
    """Give the offsets of all records that are linked, and of the spare blocks."""
    buckets = chains.occupied(range(chains.buckets))
    linked = {header[0] for bucket in buckets for header in chains.headers(bucket)}
    return linked | stripes.spares()


def map_faults(chains: Chains, stripes: Stripes, heap: Allocator) -> list[str]:
    """Name every broken invariant of the chains, the stripes and the heap."""
    faults: list[str] = []
    offsets: set[int] = set()
    for stripe in range(stripes.count):
        records = [
            record
            for bucket in stripes.buckets(stripe)
            for record in _chain(chains, bucket, faults)
        ]
        faults += _stripe_faults(stripes, stripe, records)
        weight = sum(chains.weight(record.offset) for record in records)
        if weight != stripes.weight_of(stripe):
            faults.append(f"stripe {stripe} weighs {weight}, counted {stripes.weight_of(stripe)}")
        for record in records:
            if record.offset in offsets:
                faults.append(f"record {record.offset} is linked twice")
            offsets.add(record.offset)
    spares = stripes.spares()
    faults += [f"record {offset} is linked and spare" for offset in offsets & spares]
    return faults + heap.faults(offsets | spares)


def _chain(chains: Chains, bucket: int, faults: list[str]) -> list[Record]:
    keys: set[bytes] = set()
    records = list(chains.records(bucket))
    for record in records:
        if record.key in keys:
            faults.append(f"{record.key!r} is in bucket {bucket} twice")
        keys.add(record.key)
        if record.code != chains.code(record.key) or record.code & chains.mask != bucket:
            faults.append(f"{record.key!r} is in bucket {bucket} with the hash {record.code}")
    return records


def _stripe_faults(stripes: Stripes, stripe: int, records: list[Record]) -> list[str]:
    faults: list[str] = []
    if len(records) != stripes.records(stripe):
        counted = stripes.records(stripe)
        faults.append(f"stripe {stripe} has {len(records)} records and counts {counted}")
    expiries = [record.expires for record in records if record.expires]
    if expiries and not 0 < stripes.earliest(stripe) <= min(expiries):
        faults.append(f"stripe {stripe} expects no expiry before {stripes.earliest(stripe)}")
    return faults
