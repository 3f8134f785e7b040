"""What `spaceport/local/function_logs.py` relies on in the exactly pinned ministack."""

from __future__ import annotations

import inspect

from ministack.services import lambda_svc


def test_the_output_of_each_invocation_passes_through_one_function() -> None:
    arguments = list(inspect.signature(lambda_svc._emit_lambda_logs).parameters)
    assert arguments == ["func", "request_id", "log_text", "error", "duration_ms", "log_source"]
    assert inspect.getsource(lambda_svc).count("    _emit_lambda_logs(") == 1, "called once, by its name in the module"
    assert "    _emit_lambda_logs(" in inspect.getsource(lambda_svc._execute_function_dispatch)
