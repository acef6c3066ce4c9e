"""The faults: small ways to break the hardware, each of which a test must notice."""

import dataclasses

from . import boards, elements, engine, exports, feeders

__all__ = ["MUTATIONS", "Mutation"]


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A fault: `old`, which stands once in the file hw/`file`, becomes `new`; `tests` must fail."""

    fault: str
    file: str
    old: str
    new: str
    tests: str


MUTATIONS = tuple(
    Mutation(fault, file, old, new, tests)
    for (file, tests), faults in (
        boards.FAULTS | elements.FAULTS | feeders.FAULTS | engine.FAULTS | exports.FAULTS
    ).items()
    for fault, old, new in faults
)
