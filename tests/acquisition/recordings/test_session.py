from datetime import date

from acquisition.recordings.session import new_folder


def test_a_new_session_is_named_by_rig_and_day_and_never_one_that_is_there(tmp_path):
    directory = tmp_path / "recordings"
    today = date.today().isoformat()
    first = new_folder(directory, "desk")
    assert first == directory / f"desk-{today}-1"
    first.mkdir(parents=True)
    (directory / f"desk-{today}-3").mkdir()
    assert new_folder(directory, "desk").name == f"desk-{today}-2"
    assert new_folder(directory, "field").name == f"field-{today}-1"
