/* SPDX-License-Identifier: Apache-2.0 */
/* What PUT /_drsim/routes tells a gateway: endpoints, their deployments with weights, replicas. */
#ifndef SIM_MINILEPTON_ROUTES_H
#define SIM_MINILEPTON_ROUTES_H

#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

#define ROUTES_ENDPOINTS_MAX 64
#define ROUTES_DEPLOYMENTS_MAX 64 /* of an endpoint */
#define ROUTES_REPLICAS_MAX 1024  /* of a deployment */
#define ROUTES_WEIGHT_MAX 1000000
#define ROUTES_RETRIES_MAX 8
#define ROUTES_OUTSTANDING_MAX 4096 /* requests of an endpoint at a time, unless it says less */
#define ROUTES_TEXT_MAX 128
#define ROUTES_BODY_MAX ((size_t)4 << 20)

struct routes {
	uint64_t epoch;
	struct routes_endpoint {
		const char *name;
		nanos interval, timeout; /* of health checks */
		uint64_t misses;         /* in a row, until a replica is out */
		uint64_t retries;        /* at other replicas */
		nanos request_timeout;   /* of one try */
		uint64_t concurrency;
		struct routes_deployment {
			const char *name;
			uint64_t weight;
			struct routes_replica {
				const char *id, *address;
			} * replicas;
			size_t replica_count;
		} * deployments;
		size_t deployment_count;
	} * endpoints;
	size_t endpoint_count;
};

/* Reads and checks the JSON text; all of *ret lives in the arena. */
int routes_parse(const char *text, size_t size, struct arena *arena, struct routes *ret,
		 struct error *e);

#endif
