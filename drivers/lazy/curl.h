/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, loaded at the first use: include this instead of <curl/curl.h>. */
#ifndef DRIVERS_LAZY_CURL_H
#define DRIVERS_LAZY_CURL_H

#include <curl/curl.h>

#include "core/lazy.h"

/* What drsim calls. One that stands neither here nor below does not link. */
#define LAZY_CURL(X)                                                                               \
	X(curl_, easy_cleanup)                                                                     \
	X(curl_, easy_getinfo)                                                                     \
	X(curl_, easy_init)                                                                        \
	X(curl_, easy_perform)                                                                     \
	X(curl_, easy_reset)                                                                       \
	X(curl_, easy_setopt)                                                                      \
	X(curl_, easy_strerror)                                                                    \
	X(curl_, global_init)                                                                      \
	X(curl_, multi_add_handle)                                                                 \
	X(curl_, multi_assign)                                                                     \
	X(curl_, multi_cleanup)                                                                    \
	X(curl_, multi_info_read)                                                                  \
	X(curl_, multi_init)                                                                       \
	X(curl_, multi_perform)                                                                    \
	X(curl_, multi_poll)                                                                       \
	X(curl_, multi_remove_handle)                                                              \
	X(curl_, multi_setopt)                                                                     \
	X(curl_, multi_socket_action)                                                              \
	X(curl_, multi_wakeup)                                                                     \
	X(curl_, slist_append)                                                                     \
	X(curl_, slist_free_all)

struct lazy_curl {
	LAZY_CURL(LAZY_POINTER)
};

/* Loads it and calls curl_global_init() the first time. From any thread, as often as one likes. */
int lazy_curl_open(struct error *e);
/* Only after lazy_curl_open() has returned 0. */
const struct lazy_curl *lazy_curl(void);

/* libcurl's header has macros of these names, which take the place of functions. */
#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt
#define curl_easy_cleanup lazy_curl()->easy_cleanup
#define curl_easy_getinfo lazy_curl()->easy_getinfo
#define curl_easy_init lazy_curl()->easy_init
#define curl_easy_perform lazy_curl()->easy_perform
#define curl_easy_reset lazy_curl()->easy_reset
#define curl_easy_setopt lazy_curl()->easy_setopt
#define curl_easy_strerror lazy_curl()->easy_strerror
#define curl_multi_add_handle lazy_curl()->multi_add_handle
#define curl_multi_assign lazy_curl()->multi_assign
#define curl_multi_cleanup lazy_curl()->multi_cleanup
#define curl_multi_info_read lazy_curl()->multi_info_read
#define curl_multi_init lazy_curl()->multi_init
#define curl_multi_perform lazy_curl()->multi_perform
#define curl_multi_poll lazy_curl()->multi_poll
#define curl_multi_remove_handle lazy_curl()->multi_remove_handle
#define curl_multi_setopt lazy_curl()->multi_setopt
#define curl_multi_socket_action lazy_curl()->multi_socket_action
#define curl_multi_wakeup lazy_curl()->multi_wakeup
#define curl_slist_append lazy_curl()->slist_append
#define curl_slist_free_all lazy_curl()->slist_free_all

#endif
