"""Jobs under launchers that are not ours: what each of them asks for."""

import pytest
from omegaconf import OmegaConf

from ganlab.tasks.sweeps.foreign import _one_process, jobs_at_a_time


@pytest.mark.parametrize(("n_jobs", "cores", "count"), [(3, 8, 3), (-1, 8, 8), (-2, 8, 7), (-9, 8, 1), (-1, 1, 1)])
def test_joblibs_count_of_jobs(n_jobs, cores, count):
    assert jobs_at_a_time(n_jobs, cores) == count


@pytest.mark.parametrize(("devices", "nodes", "one"), [(1, 1, True), (2, 1, False), ("auto", 1, False), (1, 2, False)])
def test_only_a_job_of_one_process_may_train_in_the_sweeps(devices, nodes, one):
    assert _one_process(OmegaConf.create({"trainer": {"devices": devices, "num_nodes": nodes}})) is one
