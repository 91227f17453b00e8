from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "compile: needs the SageMaker SDK's own environment (.venv-compile)")
