import inspect
import pkgutil

import pytest

import rigpose
from rigpose.call import load, python_function
from rigpose.command_line import examples, parse
from rigpose.commands.table import COMMANDS, GROUPS, PYTHON_NAMES

every_command = pytest.mark.parametrize("name", COMMANDS)


@every_command
def test_the_help_is_the_first_line_of_the_docstring(name):
    assert (inspect.getdoc(load(COMMANDS[name])) or "").splitlines()[0] == COMMANDS[name].help


@every_command
def test_the_help_of_a_command_shows_its_options_and_an_example(name, capsys):
    function = load(COMMANDS[name])
    assert f"rigpose {name}" in examples(function)

    assert parse(name, function, ["--help"]).call is None
    shown = capsys.readouterr().out
    assert "--json" in shown
    assert f"  rigpose {name}" in shown


@every_command
def test_every_option_is_described(name):
    from cyclopts import App

    app = App()
    app.default(load(COMMANDS[name]))
    for argument in app.assemble_argument_collection(parse_docstring=True):
        assert argument.parameter.help, f"{name}: {argument.name} has no description"


@every_command
def test_minus_o_is_the_output(name):
    from cyclopts import App

    app = App()
    app.default(load(COMMANDS[name]))
    short = {
        word: argument.name for argument in app.assemble_argument_collection() for word in argument.names
    }
    assert short.get("-o", "--output") == "--output"
    assert ("--output" in short) == ("-o" in short)


@every_command
def test_a_command_is_a_python_function_with_the_same_arguments(name):
    offered = getattr(rigpose, name.replace(" ", "_").replace("-", "_"))
    assert inspect.signature(offered) == inspect.signature(load(COMMANDS[name]))
    assert offered.__wrapped__ is load(COMMANDS[name])


def test_no_command_has_the_name_of_a_module():
    modules = {module.name for module in pkgutil.iter_modules(rigpose.__path__)}
    assert not modules & set(PYTHON_NAMES)


def test_names_and_groups_are_whole():
    assert sum(len(rows) for rows in GROUPS.values()) == len(COMMANDS) == len(PYTHON_NAMES)
    assert set(PYTHON_NAMES) <= set(dir(rigpose))


def test_a_name_that_is_no_command_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'no_such_command'"):
        rigpose.no_such_command  # noqa: B018


def test_python_callers_may_give_strings_for_paths(tmp_path):
    from rigpose.commands.table import Command

    (tmp_path / "given.txt").write_text("")
    command = Command("tests.rigpose.sample_command:sample", "")
    measured = python_function(command)(str(tmp_path), "a", "b", output=str(tmp_path), label="x/y")
    assert measured["types"] == ["PosixPath", "PosixPath", "PosixPath", "PosixPath", "str"]
