/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnosis: from symptoms to a named cause and the advised action. A rule table, no oracle. */
#ifndef CORE_DIAGNOSIS_H
#define CORE_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/driver.h"

struct xid_row {
	uint32_t code;
	const char *name;      /* "fallen off the bus" */
	const char *event;     /* gpud: "Fatal", "Warning", "by severity" */
	const char *action;    /* gpud's first where it names one, else NVIDIA's; NULL: none */
	/* what goes down: nothing, the process, the GPU with it */
	enum { XID_NOTHING, XID_PROCESS, XID_GPU } hits;
};
extern const struct xid_row xid_table[]; /* by code, ascending; ends with code 0 */
/* NULL: a code without a row, which is reported without an action being demanded. */
const struct xid_row *xid_find(uint32_t code);

struct diagnosis {
	const char *cause;  /* a fault's name where one fits ("gpu.lost"), "none found" */
	const char *action; /* "REBOOT_SYSTEM", "REPAIR_POWER" …; "NONE": none is demanded */
	uint32_t xid;       /* 0: none */
	const char *symptoms[SYMPTOMS_MAX]; /* static text */
	size_t symptom_count;
};

/* No healthy round trip takes longer: to the far side of the Earth and back is 200 ms of fibre. */
#define DIAGNOSIS_ROUND_TRIP_MAX (250 * NANOS_MS)
/* With less of a node's memory left, ppm, what serves there is about to be killed. */
#define DIAGNOSIS_MEMORY_MIN (EFFECT_PPM / 10)

/*
 * Names the cause of what was seen. `seen`: the completion of an ACTION_DIAGNOSE; `wrong_answers`:
 * a canary declared. `worst` counts where it has nodes, else the whole site. Rules in this order,
 * the first that fits names the cause:
 *
 *    1 no node of the site has power                     zone.outage      REPAIR_POWER
 *    2 several nodes without power, or a suspect rack    rack.power_loss  REPAIR_POWER
 *    3 one node without power                            psu.loss         REPAIR_POWER
 *    4 power, but no node of the site is reachable       net.partition    CHECK_NETWORK
 *      (a site of one node: only when its links are down too)
 *    5 power, but a node is not reachable                node.crash       REBOOT_SYSTEM
 *    6 reachable, but a node's agent does not respond    node.hang        REBOOT_SYSTEM
 *    7 GPUs missing, after an Xid that takes a GPU down  gpu.xid          the Xid's
 *    8 GPUs missing                                      gpu.lost         REBOOT_SYSTEM
 *    9 a GPU that fails its self-test                    gpu.sdc          HARDWARE_INSPECTION
 *   10 a disk that fails, is read-only, is full          disk.error, disk.readonly, disk.fill
 *   11 a clock off by more than is tolerated             clock.skew       SET_CLOCK
 *   12 an Xid that takes a process or a GPU down         gpu.xid          the Xid's
 *   13 hardly any memory left on a node                  mem.fill         FREE_MEMORY
 *   14 processes that the OOM killer ended               proc.oom         RAISE_MEMORY_LIMIT
 *   15 processes missing                                 proc.kill        RESTART_APP
 *   16 processes that stand still                        proc.pause       RESTART_APP
 *   17 content missing, content that cannot be read      data.delete, data.encrypt
 *   18 wrong digests or wrong answers                    data.bitflip     RESTORE_DATA
 *   19 replicas running, but not ready                   proc.kill        RESTART_APP
 *   20 a link without an open path                       net.partition    CHECK_NETWORK
 *   21 service ports that do not answer                  net.blackhole    CHECK_NETWORK
 *   22 packets lost                                      net.loss         CHECK_NETWORK
 *   23 a GPU slower than its benchmark                   gpu.straggler    HARDWARE_INSPECTION
 *   24 a node whose CPU other work takes                 cpu.burn         FREE_CPU
 *   25 a process with less CPU than it uses              cgroup.squeeze   RAISE_CPU_LIMIT
 *   26 requests that fail or are slow, checks that pass  node.gray        DRAIN_NODE
 *   27 a round trip far above normal                     net.delay        CHECK_NETWORK
 *   28 any other Xid                                     gpu.xid          the Xid's, or NONE
 *   29 nothing                                           none found       NONE
 *
 * The wider failure comes first, since it explains the narrower symptoms inside it; an Xid explains
 * a loss only when its row says that it takes such a thing down. `symptoms` has the first fitting
 * rule of each kind (power, reach, GPU, Xid, replica, data, path, slowness, disk, clock, service,
 * memory, CPU).
 */
void diagnose(const struct completion *seen, bool wrong_answers, struct diagnosis *ret);
/*
 * The same where the healthy deployment's longest round trip is known (0: it is not): "far above
 * normal" is then more than twice that and a millisecond, instead of DIAGNOSIS_ROUND_TRIP_MAX.
 */
void diagnose_normal(const struct completion *seen, bool wrong_answers, nanos normal_round_trip,
		     struct diagnosis *ret);

/*
 * How badly a thing is broken, to find the one that explains most: 0 not at all, up to 6 without
 * power. DIAGNOSIS_BROKEN_REPLICA: its replicas are not well, its hardware is.
 */
#define DIAGNOSIS_BROKEN_REPLICA 2
int diagnosis_brokenness(const struct reading *reading);

#endif
