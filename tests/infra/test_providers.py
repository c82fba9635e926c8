"""The names of the providers of dynamic resources: states contain them, and Pulumi imports them to delete."""

from __future__ import annotations

import base64
import pickletools
import subprocess
import sys

from tests.infra.program import DEV, ROOT, Case, run_program

#: A name that is no longer here stays importable: states contain it as long as their stacks exist.
PRESENT = {
    "placement": "infra.placement _PlacementProvider",
    "schema": "infra.database_setup _DatabaseProvider",
    "code": "infra.publish.resource _PackageProvider",
    "invite-links": "infra.invite_links _InviteLinksProvider",
}
#: States contain these too: a part under another name would have other resources.
PARTS = {
    "identity": "infra:index:Identity",
    "monitoring": "infra:index:Monitoring",
    "storage": "infra:index:Storage",
    "hub": "infra:index:Hub",
    "database": "infra:index:Database",
    "app": "infra:index:App",
    "alerts": "infra:index:Alerts",
}
FORMER = {"infra.package _PackageProvider"}
# as Pulumi's process for dynamic resources does it: in infra/, with nothing else on the path
LOAD = """
import base64, sys
import dill
from pulumi.dynamic import ResourceProvider
for text in sys.stdin.read().split():
    provider = dill.loads(base64.b64decode(text))
    assert isinstance(provider, ResourceProvider), provider
    provider.delete("id", {})
    print(type(provider).__name__)
"""


def pickled(name: str) -> str:
    """Return the provider with this name as a state has it."""
    module, _, cls = name.partition(" ")
    return base64.b64encode(f"c{module}\n{cls}\n)".encode() + b"\x81.").decode()


def names_in(text: str) -> set[str]:
    """Return what a pickled provider imports."""
    strings: list[str] = []
    found = set()
    for opcode, argument, _ in pickletools.genops(base64.b64decode(text)):
        if opcode.name in ("SHORT_BINUNICODE", "BINUNICODE"):
            strings.append(str(argument))
        elif opcode.name == "STACK_GLOBAL":
            found.add(" ".join(strings[-2:]))
        elif opcode.name == "GLOBAL":
            found.add(str(argument))
    return found


def test_providers_have_the_names_that_states_know() -> None:
    (ran,) = run_program(Case(stack="dev", config=DEV))
    dynamic = {one.name: one.inputs["__provider"] for one in ran.asked.values() if "__provider" in one.inputs}
    assert {name: names_in(text) for name, text in dynamic.items()} == {name: {one} for name, one in PRESENT.items()}
    assert ran.parts == PARTS


def test_what_any_state_names_can_still_be_loaded_and_deleted() -> None:
    known = [*PRESENT.values(), *sorted(FORMER)]
    command = [sys.executable, "-c", LOAD]
    texts = "\n".join(map(pickled, known))
    loaded = subprocess.run(command, cwd=ROOT / "infra", input=texts, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    assert len(loaded.stdout.split()) == len(known)
