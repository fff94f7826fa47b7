import subprocess
import sys

from benchmarks.help_speed import CHECKOUT, measure


def test_help_answers_at_once():
    # The fastest of a few rounds: what a busy machine adds is not ours.
    nothing, helped = measure(rounds=5)
    assert min(helped) <= 3 * min(nothing) + 0.2


def test_help_imports_none_of_the_layers_and_no_parser():
    script = "import sys; sys.argv[1:] = ['--help']; from rigpose.front_door import main; main();"
    script += "print([name for name in sys.modules], file=sys.stderr)"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    for heavy in ("'numpy'", "'cyclopts'", "'rich'", "'acquisition'", "'training'", "'pydantic'"):
        assert heavy not in ran.stderr
