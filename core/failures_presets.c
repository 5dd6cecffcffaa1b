/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published failure rates. To change which fault stands for a class of failures, change its line.
 *
 * How a class becomes a fault: by what is seen of it, on a site with endpoints as on one that only
 * trains. What ends a program and leaves the machine whole (software, a watchdog, a dependency) is
 * node.hang: the node stands there and its work does not go on until somebody sees to it, which is
 * what such a failure costs where no replica is that could be restarted. An Xid of an application
 * (13, 31, 43) would cost its process alone, and nothing where no process of ours runs. Silent
 * corruption, once found, costs the GPU: gpu.lost. What takes a part of the board, its power or its
 * cooling takes the node: node.crash, psu.loss. What takes its way to the network is nic.fail on
 * the node's side, net.partition on the other.
 */
#include "core/failures.h"

#include <stddef.h>

/*
 * Llama 3 405B, 54 days on 16,384 H100, 419 unexpected interruptions (arXiv 2407.21783, table 5):
 * 419 / (2048 nodes x 54 days) = 3.79 per 1000 node-days. The table's counts are the weights; its
 * percentages do not agree with them.
 */
static const struct failure_preset_row llama3[] = {
	{"faulty GPU", "gpu.lost", NULL, 148, NULL},
	{"HBM3 memory", "gpu.xid", "{code: 95}", 72, NULL}, /* uncontained ECC error */
	{"software", "node.hang", NULL, 54, NULL},
	{"switch or cable", "net.partition", NULL, 35, NULL},
	{"host maintenance", "node.crash", NULL, 32, NULL},
	{"GPU SRAM", "gpu.xid", "{code: 48}", 19, NULL}, /* double-bit ECC error */
	{"GSP", "gpu.xid", "{code: 119}", 17, NULL},     /* GSP RPC time-out */
	{"NIC", "nic.fail", NULL, 7, NULL},
	{"NCCL watchdog", "node.hang", NULL, 7, NULL},
	{"SDC", "gpu.lost", NULL, 6, NULL},
	{"thermal", "gpu.thermal", "{celsius: 110}", 6, NULL}, /* it switches itself off */
	{"SSD", "node.crash", NULL, 3, NULL},
	{"PSU", "psu.loss", NULL, 3, NULL},
	{"chassis", "node.crash", NULL, 2, NULL},
	{"IO board", "node.crash", NULL, 2, NULL},
	{"dependency", "node.hang", NULL, 2, NULL},
	{"CPU", "node.crash", NULL, 2, NULL},
	{"system memory", "node.crash", NULL, 2, NULL},
	{.cause = NULL},
};

/* Two research clusters of Meta with A100 GPUs (arXiv 2410.21680): the rate of failures that end a
 * job, as a whole. */
static const struct failure_preset_row rsc[] = {
	{"server failure", "node.crash", NULL, 1, NULL},
	{.cause = NULL},
};

/*
 * StepFun's InfiniteHBD-Trace: 400 servers of 8 GPUs, 348 days, 584 faults, 4.20 per 1000 node-days
 * (GPU 1.14). Weights are the trace's counts by class, GPU by description. Repair: a lognormal
 * with the class's median m and mean a, sigma = sqrt(2 ln(a / m)); one that happened once, its
 * time. Days of waiting for a part are in it, so it needs no crew of its own to wait for: give
 * recovery.repair.crews many.
 */
static const struct failure_preset_row infinitehbd[] = {
	{"Unknown Error", "node.hang", NULL, 144, "{lognormal: {median: 15.6h, sigma: 1.98}}"},
	{"Stress Test Failure", "node.hang", NULL, 97, "{lognormal: {median: 14.4h, sigma: 1.32}}"},
	{"GPU", "gpu.lost", NULL, 82, "{lognormal: {median: 25.5h, sigma: 1.98}}"},
	{"GPU DBE", "gpu.xid", "{code: 48}", 60, "{lognormal: {median: 3.2h, sigma: 2.77}}"},
	{"Parameter Plane Cable", "net.partition", NULL, 40,
	 "{lognormal: {median: 47h, sigma: 1.37}}"},
	{"Fan", "node.crash", NULL, 33, "{lognormal: {median: 74h, sigma: 1.47}}"},
	{"NIC", "nic.fail", NULL, 30, "{lognormal: {median: 11.8h, sigma: 2.48}}"},
	{"Power Supply", "psu.loss", NULL, 26, "{lognormal: {median: 351h, sigma: 0.67}}"},
	{"Training Task Troubleshooting", "node.hang", NULL, 14,
	 "{lognormal: {median: 16.5h, sigma: 0.95}}"},
	{"Other Failures", "node.hang", NULL, 13, "{lognormal: {median: 37.5h, sigma: 1.02}}"},
	{"GPU Xid", "gpu.fallen_off_bus", NULL, 11, "{lognormal: {median: 13.8h, sigma: 1.34}}"},
	{"Software Tool", "node.hang", NULL, 7, "{lognormal: {median: 16.9h, sigma: 1.34}}"},
	{"GPU Lost", "gpu.lost", NULL, 5, "{lognormal: {median: 71h, sigma: 1.32}}"},
	{"Change", "net.partition", NULL, 4, "{lognormal: {median: 80h, sigma: 0.45}}"},
	{"Motherboard", "node.crash", NULL, 4, "{lognormal: {median: 42.7h, sigma: 0.9}}"},
	{"CPU", "node.crash", NULL, 3, "{lognormal: {median: 20.4h, sigma: 1.61}}"},
	{"File System", "node.hang", NULL, 3, "{lognormal: {median: 4.1h, sigma: 1.71}}"},
	{"Test", "node.hang", NULL, 2, "2.04h"},
	{"Firmware", "node.crash", NULL, 1, "19.4h"},
	{"Motherboard Battery", "node.crash", NULL, 1, "26.1h"},
	{"Operating System", "node.crash", NULL, 1, "13.2h"},
	{"RAID Card", "node.crash", NULL, 1, "21.5h"},
	{"Riser Card", "node.crash", NULL, 1, "59.5h"},
	{"System Crash", "node.crash", NULL, 1, "0s"},
	{.cause = NULL},
};

/*
 * The lemons of infinitehbd: the tenth of the servers with the most faults took 41 % of them. Were
 * all alike, luck alone would give the worst tenth 26 %, so the factor is not the one by which
 * lemons themselves take 41 %, 0.41 x 0.9 / (0.59 x 0.1) = 6.25: with that the worst tenth takes
 * 42.5 %. Drawing 584 faults over 400 servers many times, a factor of 5.75 gives 41 %; the lemons
 * then take 5.75 x 0.1 / (5.75 x 0.1 + 0.9) = 39 %.
 */
const struct failure_preset failure_presets[] = {
	{"llama3-405b", 3.79, {0, 1}, llama3},
	{"rsc-1", 6.50, {0, 1}, rsc},
	{"rsc-2", 2.34, {0, 1}, rsc},
	{"infinitehbd", 4.20, {0.1, 5.75}, infinitehbd},
	{.name = NULL},
};

const char *const failure_preset_names[] = {"llama3-405b", "rsc-1", "rsc-2", "infinitehbd", NULL};
