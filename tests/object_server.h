/* SPDX-License-Identifier: Apache-2.0 */
/* A small object server in memory, of the protocol in drivers/store/README.md, for tests. */
#ifndef TESTS_OBJECT_SERVER_H
#define TESTS_OBJECT_SERVER_H

#include <stddef.h>
#include <stdint.h>

struct object_server;

/* Listens on a free port of 127.0.0.1; `token` NULL: none is asked for. */
struct object_server *object_server_start(const char *token);
/* "http://127.0.0.1:PORT", as long as it lives. */
const char *object_server_address(const struct object_server *server);
void object_server_stop(struct object_server *server);

/* PUT answers 507 once so many bytes are held; 0: no limit. */
void object_server_limit(struct object_server *server, uint64_t bytes);
/* The next so many requests are answered 503. */
void object_server_busy(struct object_server *server, unsigned requests);
/* Each PUT of a pack takes so long. */
void object_server_slow(struct object_server *server, unsigned milliseconds);
/* What is put under `prefix` is kept, and its answers are lost; NULL: no more. */
void object_server_lose(struct object_server *server, const char *prefix);
/* Names in a page of a list, 1000 unless set. */
void object_server_page(struct object_server *server, size_t names);
/* So many objects begin with `prefix`. */
size_t object_server_count(struct object_server *server, const char *prefix);
/* Removes all objects that begin with `prefix`. */
void object_server_drop(struct object_server *server, const char *prefix);
/* Flips a bit of the `index`th object that begins with `prefix`. */
void object_server_flip(struct object_server *server, const char *prefix, size_t index,
			uint64_t bit);

#endif
