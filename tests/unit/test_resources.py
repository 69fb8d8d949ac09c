"""What this machine has for stages: cores by threads, and the GPUs that a user left visible."""

from __future__ import annotations

import pytest

from ftbench import resources


@pytest.mark.parametrize(
    ("asked", "threads", "jobs"), [(None, 1, 6), ("", 1, 6), ("0", 1, 6), ("2", 2, 3), ("4,2", 4, 1), ("99", 99, 1), ("many", 1, 6)]
)
def test_as_many_stages_run_at_once_as_their_threads_have_cores(monkeypatch, asked, threads, jobs):
    monkeypatch.setattr(resources, "cores", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert (resources.threads(), resources.jobs()) == (threads, jobs)


@pytest.mark.parametrize(("visible", "gpus"), [("", []), ("-1", []), ("0", ["0"]), ("2, GPU-ab", ["2", "GPU-ab"])])
def test_the_gpus_are_those_that_a_user_left_visible(monkeypatch, visible, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert resources.gpus() == gpus


def test_without_a_driver_there_is_no_gpu(monkeypatch):
    import pynvml

    def missing():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    assert resources.gpus() == []
