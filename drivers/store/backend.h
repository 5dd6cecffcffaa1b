/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a store's objects lie: the few operations that the engine needs of a folder or a server.
 * Keys are of [A-Za-z0-9._/-], without "..", at most STORE_KEY_MAX bytes. All but open and close
 * may be called from several threads at a time.
 */
#ifndef DRIVERS_STORE_BACKEND_H
#define DRIVERS_STORE_BACKEND_H

#include "drivers/store/store.h"

enum store_lock {
	STORE_LOCK_WRITE, /* backup: no other writer */
	STORE_LOCK_READ,  /* restore, verify: nobody who removes */
	STORE_LOCK_PRUNE, /* no other writer, no reader */
};

/* An object in a list; the key lives until the call returns. Non-zero ends the list with -1. */
typedef int store_object_fn(void *self, const char *key, uint64_t bytes, struct error *e);

struct store_backend_ops {
	const char *name;
	bool late; /* an object whose put has failed may still come to be, even after a remove */
	/* ERROR_USAGE when there is nothing at `where` and `create` is not set. */
	int (*open)(const char *where, const struct store_options *options, void **ret_self,
		    struct error *e);
	/* The object is there whole, or not at all (or as it was); durable with flush(). */
	int (*put)(void *self, const char *key, const void *data, size_t bytes, struct error *e);
	/* What was put and removed before is durable when it returns. */
	int (*flush)(void *self, struct error *e);
	/* Up to `bytes` from `offset`; *ret_got is less only at the object's end. ERROR_TARGET: no
	 * such object. */
	int (*get)(void *self, const char *key, uint64_t offset, void *buffer, size_t bytes,
		   size_t *ret_got, struct error *e);
	/* Every object whose key begins with `prefix`, in any order. */
	int (*list)(void *self, const char *prefix, store_object_fn *each, void *each_self,
		    struct error *e);
	/* Bytes of an object. ERROR_TARGET: no such object. */
	int (*size)(void *self, const char *key, uint64_t *ret_bytes, struct error *e);
	/* One that is not there is no error. */
	int (*remove)(void *self, const char *key, struct error *e);
	/* ERROR_UNAVAILABLE while another handle holds what excludes it. It ends with its owner. */
	int (*lock)(void *self, enum store_lock lock, struct error *e);
	/* Is it still ours? One that was stopped for long may have lost it. */
	int (*check_lock)(void *self, struct error *e);
	void (*unlock)(void *self);
	/* From now on transfers end early, with ERROR_UNAVAILABLE, once *cancel is true; NULL: none
	 * does. */
	void (*heed)(void *self, const atomic_bool *cancel);
	/* Removes what killed writers left; under a writer's lock. */
	int (*sweep)(void *self, struct error *e);
	void (*close)(void *self);
};

extern const struct store_backend_ops store_folder_backend, store_http_backend;

/* The one that `where` means. */
const struct store_backend_ops *store_backend_for(const char *where);

#endif
