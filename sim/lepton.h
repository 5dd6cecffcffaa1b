/* SPDX-License-Identifier: Apache-2.0 */
/* Lepton's words and rules, shared by everything that plays a Lepton deployment: states, reasons,
 * routing. */
#ifndef SIM_LEPTON_H
#define SIM_LEPTON_H

#include <stdint.h>

/* Endpoint states and replica readiness reasons, spelled as the platform's API spells them. */
enum lepton_state {
	LEPTON_READY,
	LEPTON_NOT_READY,
	LEPTON_STARTING,
	LEPTON_STOPPED,
	LEPTON_UPDATING,
	LEPTON_SCALING,
	LEPTON_MIGRATING,
	LEPTON_STOPPING,
	LEPTON_DELETING,
	LEPTON_RESTARTING,
	LEPTON_ERROR,
};
enum lepton_reason {
	LEPTON_REASON_READY,
	LEPTON_REASON_IN_PROGRESS,
	LEPTON_REASON_NO_CAPACITY,
	LEPTON_REASON_SYSTEM_ERROR,
	LEPTON_REASON_QUEUEING,
	LEPTON_REASON_DELETED,
	LEPTON_REASON_UNKNOWN,
	LEPTON_REASON_CONFIG_ERROR,
	LEPTON_REASON_DELETING,
};
static const char *const lepton_state_names[] = {
	"Ready",     "Not Ready", "Starting", "Stopped",    "Updating", "Scaling",
	"Migrating", "Stopping",  "Deleting", "Restarting", "Error",
};
static const char *const lepton_reason_names[] = {
	"Ready",   "InProgress", "NoCapacity",  "SystemError", "Queueing",
	"Deleted", "Unknown",    "ConfigError", "Deleting",
};

/* Containers that crash restart at once, then after 10 s doubling to 5 min; 10 min of health forget
 * the count. */
#define LEPTON_BACKOFF_FIRST_S 10
#define LEPTON_BACKOFF_MAX_S 300
#define LEPTON_BACKOFF_RESET_S 600

/* Least request among two random choices, as the platform's load balancer does it. */
static inline uint32_t lepton_route(uint32_t a, uint32_t outstanding_a, uint32_t b,
				    uint32_t outstanding_b)
{
	return outstanding_b < outstanding_a ? b : a;
}

#endif
