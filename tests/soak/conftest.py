"""The fixtures of the end-to-end tests, for the soak."""
import importlib.util
import os
import sys

_E2E = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e")
sys.path.insert(0, _E2E)

_spec = importlib.util.spec_from_file_location("e2e_conftest", os.path.join(_E2E, "conftest.py"))
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)

ca, server_ca, leaf, gateway = _e2e.ca, _e2e.server_ca, _e2e.leaf, _e2e.gateway
