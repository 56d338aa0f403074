"""Detectors rewritten from their papers score here, file by file, what NAB publishes for them: so the scorer is NAB's.

The published whole-corpus scores are of 58 streams; 41 of them are here. What can be compared exactly are the published scores of single files at the
published threshold (``results/*/*_standard_scores.csv`` of NAB); whole-corpus scores only roughly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.nab import references
from benchmarks.nab.__main__ import scored
from benchmarks.nab.corpus import Stream, streams
from benchmarks.nab.scoring import PROFILES, STANDARD, at_threshold, optimised

import caudal as cd

pytestmark = pytest.mark.slow

# Score, false alarms of each file by Bayesian changepoint detection at 0.990909090909.
BAYES = {
    "artificialNoAnomaly/art_daily_no_noise.csv": (-1.32, 12),
    "artificialNoAnomaly/art_daily_perfect_square_wave.csv": (-1.32, 12),
    "artificialNoAnomaly/art_daily_small_noise.csv": (-1.32, 12),
    "artificialNoAnomaly/art_flatline.csv": (0.0, 0),
    "artificialNoAnomaly/art_noisy.csv": (0.0, 0),
    "artificialWithAnomaly/art_daily_flatmiddle.csv": (-0.04133120788796585, 10),
    "artificialWithAnomaly/art_daily_jumpsdown.csv": (-0.29153155684725807, 11),
    "artificialWithAnomaly/art_daily_jumpsup.csv": (-0.29153155684725807, 11),
    "artificialWithAnomaly/art_daily_nojump.csv": (-2.1522033811169603, 11),
    "artificialWithAnomaly/art_increase_spike_density.csv": (-1.0, 0),
    "artificialWithAnomaly/art_load_balancer_spikes.csv": (-1.11, 1),
    "realAWSCloudwatch/ec2_cpu_utilization_24ae8d.csv": (0.5948720427262149, 11),
    "realAWSCloudwatch/ec2_cpu_utilization_53ea38.csv": (0.5449128550569793, 10),
    "realAWSCloudwatch/ec2_cpu_utilization_5f5533.csv": (-0.3509982435695854, 0),
    "realAWSCloudwatch/ec2_cpu_utilization_77c1ca.csv": (-1.439999586334936, 4),
    "realAWSCloudwatch/ec2_cpu_utilization_825cc2.csv": (0.9210935469102272, 1),
    "realAWSCloudwatch/ec2_cpu_utilization_ac20cd.csv": (0.8773127770158184, 0),
    "realAWSCloudwatch/ec2_cpu_utilization_c6585a.csv": (-1.32, 12),
    "realAWSCloudwatch/ec2_cpu_utilization_fe7f93.csv": (-1.3504792117569413, 3),
    "realAWSCloudwatch/ec2_disk_write_bytes_1ef3de.csv": (0.1335492197589362, 9),
    "realAWSCloudwatch/ec2_disk_write_bytes_c0d644.csv": (-3.3282280022853916, 3),
    "realAWSCloudwatch/ec2_network_in_257a54.csv": (-1.327676191111724, 3),
    "realAWSCloudwatch/ec2_network_in_5abac7.csv": (-1.117068826407232, 10),
    "realAWSCloudwatch/elb_request_count_8c0756.csv": (1.0954865847899997, 8),
    "realAWSCloudwatch/grok_asg_anomaly.csv": (2.269422306739111, 4),
    "realAWSCloudwatch/iio_us-east-1_i-a2eb1cd9_NetworkIn.csv": (-2.22, 2),
    "realAWSCloudwatch/rds_cpu_utilization_cc0c53.csv": (-0.24844919792440223, 1),
    "realAWSCloudwatch/rds_cpu_utilization_e47b3b.csv": (1.7231016041511955, 0),
    "realAdExchange/exchange-2_cpc_results.csv": (-1.439999433903159, 4),
    "realAdExchange/exchange-2_cpm_results.csv": (-0.1944629484578031, 1),
    "realAdExchange/exchange-3_cpc_results.csv": (-1.2433830025619002, 1),
    "realAdExchange/exchange-3_cpm_results.csv": (0.6420985873521621, 2),
    "realAdExchange/exchange-4_cpc_results.csv": (-1.5738591324917135, 4),
    "realAdExchange/exchange-4_cpm_results.csv": (-2.461763212438341, 3),
    "realTraffic/TravelTime_387.csv": (-3.0, 0),
    "realTraffic/TravelTime_451.csv": (-1.1097565965686436, 1),
    "realTraffic/occupancy_6005.csv": (-1.0, 0),
    "realTraffic/occupancy_t4013.csv": (-2.0, 0),
    "realTraffic/speed_6005.csv": (0.6226220017559383, 2),
    "realTraffic/speed_7578.csv": (-0.2873054183780288, 1),
    "realTraffic/speed_t4013.csv": (1.7663178312188101, 0),
}
# The sum of the published scores of these 41 files by KNN CAD at 1.0.
KNN_CAD_SUM = 10.921


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> list[Stream]:
    return streams(shared_data / "nab")


@pytest.fixture(scope="module")
def knn_cad(corpus: list[Stream]) -> list[np.ndarray]:
    """What two tests look at."""
    return [references.knn_cad(one) for one in corpus]


def test_the_corpus_is_whole(corpus: list[Stream]):
    assert (len(corpus), sum(len(one.values) for one in corpus), sum(len(one.windows) for one in corpus)) == (41, 137_366, 64)
    assert all(left >= one.probation for one in corpus for left, _ in one.windows)


def test_null_is_zero_and_chance_is_near_the_published_eleven(corpus: list[Stream]):
    for profile in PROFILES:
        assert optimised(corpus, [references.null(one) for one in corpus], profile).score == 0.0
    runs = [optimised(corpus, [references.chance(one, seed) for one in corpus], STANDARD).score for seed in range(10)]
    # Published: 11.0, one run over all 58 streams. Ten runs here spread with a deviation of about 3, and 17 streams are missing.
    assert np.mean(runs) == pytest.approx(11.0, abs=4.0)


def test_bayesian_changepoint_scores_what_is_published_file_by_file(corpus: list[Stream]):
    for one in corpus[::2]:  # each folder is among them
        outcome = at_threshold([one], [references.bayesian_changepoint(one)], STANDARD, 0.990909090909)
        # A tie of two run lengths may fall otherwise in the last bit; none does so far.
        assert (outcome.raw, outcome.false_alarms) == (pytest.approx(BAYES[one.name][0], abs=1e-6), BAYES[one.name][1]), one.name


def test_knn_cad_scores_what_is_published(corpus: list[Stream], knn_cad: list[np.ndarray]):
    # In artificial streams without noise the metric is singular and depends on rounding: one false alarm (0.11) more or less in two of them.
    assert at_threshold(corpus, knn_cad, STANDARD, 1.0).raw == pytest.approx(KNN_CAD_SUM, abs=0.23)
    # Published for all 58 streams: 58.0; the 41 have 58.5 at the published threshold.
    assert optimised(corpus, knn_cad, STANDARD).score == pytest.approx(58.5, abs=0.5)


def test_the_windowed_gaussian_is_near_the_published_score(corpus: list[Stream]):
    # Published for all 58 streams: 39.6, per file only of an older version. 17 streams are missing here, hence the tolerance.
    assert optimised(corpus, [references.windowed_gaussian(one) for one in corpus], STANDARD).score == pytest.approx(39.6, abs=4.0)


def test_surprise_stays_above_knn_cad_in_every_profile(corpus: list[Stream], knn_cad: list[np.ndarray]):
    scores, _ = scored(cd.surprise(), corpus)
    for profile in PROFILES:
        assert optimised(corpus, scores, profile).score > optimised(corpus, knn_cad, profile).score + 10
    # 77.81 when this was written; another BLAS may round a few distances otherwise.
    assert optimised(corpus, scores, STANDARD).score == pytest.approx(77.8, abs=1.5)
