/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of faults: one line each, in the order of `drsim list faults`. */
#ifndef FAULTS_FAULTS_H
#define FAULTS_FAULTS_H

#include <string.h>

#include "core/fault.h"

#define FAULT_LIST(FAULT)                                                                          \
	FAULT(gpu_lost)                                                                            \
	FAULT(gpu_fallen_off_bus)                                                                  \
	FAULT(gpu_xid)                                                                             \
	FAULT(gpu_ecc)                                                                             \
	FAULT(gpu_thermal)                                                                         \
	FAULT(gpu_nvlink_down)                                                                     \
	FAULT(gpu_straggler)                                                                       \
	FAULT(gpu_sdc)                                                                             \
	FAULT(gpu_hang)                                                                            \
	FAULT(node_crash)                                                                          \
	FAULT(node_reboot)                                                                         \
	FAULT(node_hang)                                                                           \
	FAULT(node_gray)                                                                           \
	FAULT(rack_power_loss)                                                                     \
	FAULT(psu_loss)                                                                            \
	FAULT(zone_outage)                                                                         \
	FAULT(region_outage)                                                                       \
	FAULT(nic_fail)                                                                            \
	FAULT(ib_flap)                                                                             \
	FAULT(net_partition)                                                                       \
	FAULT(net_blackhole)                                                                       \
	FAULT(net_flap)                                                                            \
	FAULT(net_loss)                                                                            \
	FAULT(net_delay)                                                                           \
	FAULT(net_rate)                                                                            \
	FAULT(net_duplicate)                                                                       \
	FAULT(net_corrupt)                                                                         \
	FAULT(net_reorder)                                                                         \
	FAULT(net_reset_peer)                                                                      \
	FAULT(net_interface_down)                                                                  \
	FAULT(net_mtu)                                                                             \
	FAULT(cpu_burn)                                                                            \
	FAULT(mem_fill)                                                                            \
	FAULT(cgroup_squeeze)                                                                      \
	FAULT(proc_kill)                                                                           \
	FAULT(proc_oom)                                                                            \
	FAULT(proc_pause)                                                                          \
	FAULT(proc_crash_loop)                                                                     \
	FAULT(proc_slow_start)                                                                     \
	FAULT(sys_error)                                                                           \
	FAULT(sys_retval)                                                                          \
	FAULT(sys_delay)                                                                           \
	FAULT(disk_fill)                                                                           \
	FAULT(disk_readonly)                                                                       \
	FAULT(disk_error)                                                                          \
	FAULT(disk_throttle)                                                                       \
	FAULT(disk_hang)                                                                           \
	FAULT(disk_badblocks)                                                                      \
	FAULT(disk_inode_fill)                                                                     \
	FAULT(nvme_timeout)                                                                        \
	FAULT(io_errno)                                                                            \
	FAULT(io_latency)                                                                          \
	FAULT(fs_lost_fsync)                                                                       \
	FAULT(fs_torn_op)                                                                          \
	FAULT(fs_torn_seq)                                                                         \
	FAULT(data_bitflip)                                                                        \
	FAULT(data_zero)                                                                           \
	FAULT(data_misdirect)                                                                      \
	FAULT(data_truncate)                                                                       \
	FAULT(data_stale)                                                                          \
	FAULT(data_encrypt)                                                                        \
	FAULT(data_delete)                                                                         \
	FAULT(ckpt_corrupt)                                                                        \
	FAULT(ckpt_missing_shard)                                                                  \
	FAULT(ckpt_torn_save)                                                                      \
	FAULT(backup_corrupt)                                                                      \
	FAULT(backup_missing)                                                                      \
	FAULT(backup_stale)                                                                        \
	FAULT(backup_job_fail)                                                                     \
	FAULT(restore_interrupt)                                                                   \
	FAULT(restore_slow)                                                                        \
	FAULT(objstore_unavailable)                                                                \
	FAULT(objstore_throttle)                                                                   \
	FAULT(standby_unavailable)                                                                 \
	FAULT(standby_undersized)                                                                  \
	FAULT(failover_capacity_insufficient)                                                      \
	FAULT(repl_lag)                                                                            \
	FAULT(repl_split_brain)                                                                    \
	FAULT(clock_skew)                                                                          \
	FAULT(lepton_api_unavailable)                                                              \
	FAULT(lepton_replica_unready)                                                              \
	FAULT(k8s_pending_pods)                                                                    \
	FAULT(dep_slow)                                                                            \
	FAULT(traffic_surge)                                                                       \
	FAULT(deploy_bad_model)

#define FAULT_DECLARE(name) extern const struct fault_ops fault_##name;
FAULT_LIST(FAULT_DECLARE)
#undef FAULT_DECLARE

/* The mask of one entity kind, for `targets`. */
#define TARGET_BIT(kind) (1u << (kind))

/* A share as an amount in parts per million; a rate as bytes per second, 0 only for 0. */
static inline int64_t faults_ppm(double share)
{
	return (int64_t)(share * EFFECT_PPM + 0.5);
}

static inline int64_t faults_rate(double rate)
{
	return rate > 0 && rate < 1 ? 1 : (int64_t)(rate + 0.5);
}

/* A copy that lives as long as the effects do. */
static inline const void *faults_keep(struct effects *out, const void *what, size_t size)
{
	return memcpy(arena_alloc(out->arena, size), what, size);
}

/* Most faults do the same to each thing that was selected: `effect` once for each entity. */
static inline int faults_each(struct effect effect, const struct entity *entities, size_t count,
			      struct effects *out, struct error *e)
{
	effect.fraction = 1;
	for (size_t i = 0; i < count; i++) {
		effect.entity = entities[i];
		if (effects_add(out, effect, e))
			return -1;
	}
	return 0;
}

#endif
