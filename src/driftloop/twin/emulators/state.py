"""All that ministack knows, for the twin's memory: the stores of its services, as they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, AccountScopedDict
from ministack.services import cloudformation, eventbridge, kms, lambda_svc, scheduler, sts

_SERVICES = "ministack.services."
_PLAIN = (
    (eventbridge, "_rule_last_fired"),
    (scheduler, "_schedule_last_fired"),
    (sts, "_sessions"),
)
"""State that is not in a scoped store."""


def save() -> dict[str, Any]:
    """Contents of all stores. Keys of KMS can be objects of OpenSSL, so ministack writes those itself."""
    plain = {(module.__name__, name): getattr(module, name) for module, name in _PLAIN}
    return {"stores": dict(_stores()) | plain, "kms": kms.get_state()}


def load(state: dict[str, Any]) -> None:
    """Put them back."""
    for (module, name), content in state["stores"].items():
        store = getattr(import_module(module), name)
        (store if isinstance(store, dict) else store._data).update(content)
    kms.load_persisted_state(state["kms"])
    lambda_svc._esm_backoff_until._data.clear()
    for stack in cloudformation._stacks._data.values():
        # What the CDK was doing has ended with the twin.
        stack["StackStatus"] = stack["StackStatus"].replace("_IN_PROGRESS", "_FAILED")


def _stores() -> Iterator[tuple[tuple[str, str], dict[Any, Any]]]:
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith(_SERVICES) and module is not kms:
            for name, value in vars(module).items():
                if isinstance(value, AccountScopedDict | AccountRegionScopedDict) and value._data:
                    yield (module_name, name), value._data
