"""Jobs side by side: each keeps to a core, and nothing of that stays behind."""

import torch

from speechvq.batch import Job, run_jobs, torch_threads


def test_jobs_side_by_side_keep_torch_to_one_core_each():
    seen = []
    jobs = [Job(name, 1.0, lambda advance: seen.append(torch.get_num_threads())) for name in "ab"]
    with torch_threads(2):
        assert run_jobs(jobs, 2, "testing") == []
        # A count left behind would change the sums of whatever this process does next.
        assert torch.get_num_threads() == 2
    assert seen == [1, 1]
