from datetime import date

from acquisition.recordings.session import new_folder, recorded_frames


def test_a_new_session_is_named_by_rig_and_day_and_never_one_that_is_there(tmp_path):
    directory = tmp_path / "recordings"
    today = date.today().isoformat()
    first = new_folder(directory, "desk")
    assert first == directory / f"desk-{today}-1"
    first.mkdir(parents=True)
    (directory / f"desk-{today}-3").mkdir()
    assert new_folder(directory, "desk").name == f"desk-{today}-2"
    assert new_folder(directory, "field").name == f"field-{today}-1"


def test_what_was_counted_holds_only_where_it_ended_well_or_was_recovered():
    def told(**ended):
        return recorded_frames({"ended": {**ended, "cameras": {"a": {"recorded": 5}, "b": {"frames": 7}}}})

    assert told(how="stopped") == told(how="the recorder died", recovered={}) == {"a": 5}
    assert told(how="the recorder died") == recorded_frames({"ended": None}) == {}
