from ftbench import experiments


def queue(monkeypatch, states, ends):
    """A queue whose workers end it, or not, as `ends` says run by run; returns the list of the runs."""
    runs: list[int] = []

    def run(*_):
        runs.append(len(runs))
        return ends[runs[-1]]

    monkeypatch.setattr(experiments, "_run_all", run)
    monkeypatch.setattr(experiments, "stop", lambda names: None)
    monkeypatch.setattr(experiments, "states", lambda: states)
    return runs


def test_workers_that_ended_early_are_started_again_for_what_waits(monkeypatch, tmp_path):
    runs = queue(monkeypatch, {"a": "Failed", "b": "Queued"}, [False, True])
    assert experiments.run_all(["a", "b"], 1, tmp_path / "logs/log", print)
    assert len(runs) == 2


def test_nothing_is_started_again_when_nothing_waits(monkeypatch, tmp_path):
    runs = queue(monkeypatch, {"a": "Failed", "b": "Success", "another": "Queued"}, [False])
    assert experiments.run_all(["a", "b"], 1, tmp_path / "log", print)
    assert len(runs) == 1


def test_a_queue_that_is_never_taken_up_is_given_up_after_as_many_runs_as_there_are_experiments(monkeypatch, tmp_path):
    runs = queue(monkeypatch, {"a": "Queued", "b": "Queued"}, [False, False])
    assert not experiments.run_all(["a", "b"], 1, tmp_path / "log", print)
    assert len(runs) == 2
