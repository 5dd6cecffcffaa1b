/* SPDX-License-Identifier: Apache-2.0 */
/* libnl-3 and libnl-route-3, loaded at the first use: include this instead of <netlink/...>. */
#ifndef DRIVERS_LAZY_NETLINK_H
#define DRIVERS_LAZY_NETLINK_H

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/inet.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>

#include "drivers/lazy/lazy.h"

/* What drsim calls. One that stands neither here nor below does not link. */
#define LAZY_NL(X)                                                                                 \
	X(nl_, addr_build)                                                                         \
	X(nl_, addr_put)                                                                           \
	X(nl_, addr_set_prefixlen)                                                                 \
	X(nl_, connect)                                                                            \
	X(nl_, geterror)                                                                           \
	X(nl_, recvmsgs_default)                                                                   \
	X(nl_, send_simple)                                                                        \
	X(nl_, socket_alloc)                                                                       \
	X(nl_, socket_disable_seq_check)                                                           \
	X(nl_, socket_free)                                                                        \
	X(nl_, socket_get_fd)                                                                      \
	X(nl_, socket_modify_cb)                                                                   \
	X(nla_, get_string)                                                                        \
	X(nlmsg_, find_attr)                                                                       \
	X(nlmsg_, hdr)

#define LAZY_RTNL(X)                                                                               \
	X(rtnl_, addr_add)                                                                         \
	X(rtnl_, addr_alloc)                                                                       \
	X(rtnl_, addr_put)                                                                         \
	X(rtnl_, addr_set_ifindex)                                                                 \
	X(rtnl_, addr_set_local)                                                                   \
	X(rtnl_, link_add)                                                                         \
	X(rtnl_, link_alloc)                                                                       \
	X(rtnl_, link_bridge_alloc)                                                                \
	X(rtnl_, link_change)                                                                      \
	X(rtnl_, link_inet_set_conf)                                                               \
	X(rtnl_, link_put)                                                                         \
	X(rtnl_, link_set_flags)                                                                   \
	X(rtnl_, link_set_ifindex)                                                                 \
	X(rtnl_, link_set_master)                                                                  \
	X(rtnl_, link_set_name)                                                                    \
	X(rtnl_, link_set_ns_fd)                                                                   \
	X(rtnl_, link_veth_alloc)                                                                  \
	X(rtnl_, link_veth_get_peer)                                                               \
	X(rtnl_, route_add)                                                                        \
	X(rtnl_, route_add_nexthop)                                                                \
	X(rtnl_, route_alloc)                                                                      \
	X(rtnl_, route_nh_alloc)                                                                   \
	X(rtnl_, route_nh_free)                                                                    \
	X(rtnl_, route_nh_set_gateway)                                                             \
	X(rtnl_, route_nh_set_ifindex)                                                             \
	X(rtnl_, route_put)                                                                        \
	X(rtnl_, route_set_dst)

struct lazy_netlink {
	struct {
		LAZY_NL(LAZY_POINTER)
	} nl;
	struct {
		LAZY_RTNL(LAZY_POINTER)
	} rtnl;
};

/* Loads them the first time. From any thread, as often as one likes. */
int lazy_netlink_open(struct error *e);
/* Only after lazy_netlink_open() has returned 0. */
const struct lazy_netlink *lazy_netlink(void);

#define nl_addr_build lazy_netlink()->nl.addr_build
#define nl_addr_put lazy_netlink()->nl.addr_put
#define nl_addr_set_prefixlen lazy_netlink()->nl.addr_set_prefixlen
#define nl_connect lazy_netlink()->nl.connect
#define nl_geterror lazy_netlink()->nl.geterror
#define nl_recvmsgs_default lazy_netlink()->nl.recvmsgs_default
#define nl_send_simple lazy_netlink()->nl.send_simple
#define nl_socket_alloc lazy_netlink()->nl.socket_alloc
#define nl_socket_disable_seq_check lazy_netlink()->nl.socket_disable_seq_check
#define nl_socket_free lazy_netlink()->nl.socket_free
#define nl_socket_get_fd lazy_netlink()->nl.socket_get_fd
#define nl_socket_modify_cb lazy_netlink()->nl.socket_modify_cb
#define nla_get_string lazy_netlink()->nl.get_string
#define nlmsg_find_attr lazy_netlink()->nl.find_attr
#define nlmsg_hdr lazy_netlink()->nl.hdr
#define rtnl_addr_add lazy_netlink()->rtnl.addr_add
#define rtnl_addr_alloc lazy_netlink()->rtnl.addr_alloc
#define rtnl_addr_put lazy_netlink()->rtnl.addr_put
#define rtnl_addr_set_ifindex lazy_netlink()->rtnl.addr_set_ifindex
#define rtnl_addr_set_local lazy_netlink()->rtnl.addr_set_local
#define rtnl_link_add lazy_netlink()->rtnl.link_add
#define rtnl_link_alloc lazy_netlink()->rtnl.link_alloc
#define rtnl_link_bridge_alloc lazy_netlink()->rtnl.link_bridge_alloc
#define rtnl_link_change lazy_netlink()->rtnl.link_change
#define rtnl_link_inet_set_conf lazy_netlink()->rtnl.link_inet_set_conf
#define rtnl_link_put lazy_netlink()->rtnl.link_put
#define rtnl_link_set_flags lazy_netlink()->rtnl.link_set_flags
#define rtnl_link_set_ifindex lazy_netlink()->rtnl.link_set_ifindex
#define rtnl_link_set_master lazy_netlink()->rtnl.link_set_master
#define rtnl_link_set_name lazy_netlink()->rtnl.link_set_name
#define rtnl_link_set_ns_fd lazy_netlink()->rtnl.link_set_ns_fd
#define rtnl_link_veth_alloc lazy_netlink()->rtnl.link_veth_alloc
#define rtnl_link_veth_get_peer lazy_netlink()->rtnl.link_veth_get_peer
#define rtnl_route_add lazy_netlink()->rtnl.route_add
#define rtnl_route_add_nexthop lazy_netlink()->rtnl.route_add_nexthop
#define rtnl_route_alloc lazy_netlink()->rtnl.route_alloc
#define rtnl_route_nh_alloc lazy_netlink()->rtnl.route_nh_alloc
#define rtnl_route_nh_free lazy_netlink()->rtnl.route_nh_free
#define rtnl_route_nh_set_gateway lazy_netlink()->rtnl.route_nh_set_gateway
#define rtnl_route_nh_set_ifindex lazy_netlink()->rtnl.route_nh_set_ifindex
#define rtnl_route_put lazy_netlink()->rtnl.route_put
#define rtnl_route_set_dst lazy_netlink()->rtnl.route_set_dst

#endif
