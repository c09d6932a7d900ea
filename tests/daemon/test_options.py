"""Options are checked before the daemon is asked: it answers 500 to a wrong type."""

import pytest
from pydantic import ValidationError

from ollama_mcp_server.daemon.options import Options, is_zero


def test_only_what_was_given_is_sent() -> None:
    assert Options(temperature=0, num_ctx=8192).sent() == {"temperature": 0.0, "num_ctx": 8192}


def test_one_stop_becomes_a_list() -> None:
    assert Options.model_validate({"stop": "END"}).sent() == {"stop": ["END"]}


@pytest.mark.parametrize("name", ["temprature", "num_ctxt", "Temperature", "top-p", "numpredict"])
def test_a_near_miss_is_refused_with_the_name_that_was_meant(name: str) -> None:
    with pytest.raises(ValidationError, match="did you mean"):
        Options.model_validate({name: 1})


def test_another_unknown_option_is_passed_on() -> None:
    options = Options.model_validate({"mirostat": 1})
    assert options.unknown == ["mirostat"]
    assert options.sent() == {"mirostat": 1}


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": "hot"}, {"num_predict": 0}, {"num_ctx": 0}, {"top_p": 2}, {"seed": 1.5},
     {"stop": 5}, {"use_mmap": "yes"}, {"temperature": float("nan")}, {"num_ctx": 10**12}],
)  # fmt: skip
def test_what_the_daemon_would_choke_on_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(wrong)


@pytest.mark.parametrize("keep_alive", [0, 0.0, "0", "0s", "0m", "0h0m", "0.0s", "-0s"])
def test_a_model_kept_for_no_time_is_known(keep_alive: object) -> None:
    assert is_zero(keep_alive)


@pytest.mark.parametrize("keep_alive", [None, -1, 5, 0.5, "10m", "0.5s", "1h0m", "", False])
def test_a_model_kept_for_a_time_is_known(keep_alive: object) -> None:
    assert not is_zero(keep_alive)
