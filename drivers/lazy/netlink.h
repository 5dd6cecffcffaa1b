/* SPDX-License-Identifier: Apache-2.0 */
/* libnl-3 and libnl-route-3, loaded at the first use: include this instead of <netlink/...>. */
#ifndef DRIVERS_LAZY_NETLINK_H
#define DRIVERS_LAZY_NETLINK_H

#include <netlink/attr.h>
#include <netlink/cache.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/inet.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/route.h>
#include <netlink/route/tc.h>
#include <netlink/socket.h>

#include "core/lazy.h"

/* What drsim calls. One that stands neither here nor below does not link. */
#define LAZY_NL(X)                                                                                 \
	X(nl_, addr_build)                                                                         \
	X(nl_, addr_get_binary_addr)                                                               \
	X(nl_, addr_get_family)                                                                    \
	X(nl_, addr_get_prefixlen)                                                                 \
	X(nl_, addr_put)                                                                           \
	X(nl_, addr_set_prefixlen)                                                                 \
	X(nl_, cache_free)                                                                         \
	X(nl_, cache_get_first)                                                                    \
	X(nl_, cache_get_next)                                                                     \
	X(nl_, connect)                                                                            \
	X(nl_, geterror)                                                                           \
	X(nl_, recvmsgs_default)                                                                   \
	X(nl_, send_simple)                                                                        \
	X(nl_, send_sync)                                                                          \
	X(nl_, socket_alloc)                                                                       \
	X(nl_, socket_disable_seq_check)                                                           \
	X(nl_, socket_free)                                                                        \
	X(nl_, socket_get_fd)                                                                      \
	X(nl_, socket_modify_cb)                                                                   \
	X(nlmsg_, alloc_size)                                                                      \
	X(nlmsg_, append)                                                                          \
	X(nlmsg_, find_attr)                                                                       \
	X(nlmsg_, free)                                                                            \
	X(nlmsg_, hdr)                                                                             \
	X(nlmsg_, put)

#define LAZY_NLA(X)                                                                                \
	X(nla_, get_string)                                                                        \
	X(nla_, nest_end)                                                                          \
	X(nla_, nest_start)                                                                        \
	X(nla_, put)

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
	X(rtnl_, link_get_carrier)                                                                 \
	X(rtnl_, link_get_carrier_changes)                                                         \
	X(rtnl_, link_get_flags)                                                                   \
	X(rtnl_, link_get_ifindex)                                                                 \
	X(rtnl_, link_get_kernel)                                                                  \
	X(rtnl_, link_get_mtu)                                                                     \
	X(rtnl_, link_get_stat)                                                                    \
	X(rtnl_, link_inet_set_conf)                                                               \
	X(rtnl_, link_put)                                                                         \
	X(rtnl_, link_set_addr)                                                                    \
	X(rtnl_, link_set_flags)                                                                   \
	X(rtnl_, link_set_ifindex)                                                                 \
	X(rtnl_, link_set_master)                                                                  \
	X(rtnl_, link_set_mtu)                                                                     \
	X(rtnl_, link_set_name)                                                                    \
	X(rtnl_, link_set_ns_fd)                                                                   \
	X(rtnl_, link_set_txqlen)                                                                  \
	X(rtnl_, link_unset_flags)                                                                 \
	X(rtnl_, link_veth_alloc)                                                                  \
	X(rtnl_, link_veth_get_peer)                                                               \
	X(rtnl_, qdisc_alloc_cache)                                                                \
	X(rtnl_, qdisc_get_by_parent)                                                              \
	X(rtnl_, qdisc_put)                                                                        \
	X(rtnl_, route_add)                                                                        \
	X(rtnl_, route_add_nexthop)                                                                \
	X(rtnl_, route_alloc)                                                                      \
	X(rtnl_, route_alloc_cache)                                                                \
	X(rtnl_, route_delete)                                                                     \
	X(rtnl_, route_get_dst)                                                                    \
	X(rtnl_, route_get_nnexthops)                                                              \
	X(rtnl_, route_get_priority)                                                               \
	X(rtnl_, route_get_protocol)                                                               \
	X(rtnl_, route_get_scope)                                                                  \
	X(rtnl_, route_get_table)                                                                  \
	X(rtnl_, route_get_type)                                                                   \
	X(rtnl_, route_nexthop_n)                                                                  \
	X(rtnl_, route_nh_alloc)                                                                   \
	X(rtnl_, route_nh_free)                                                                    \
	X(rtnl_, route_nh_get_gateway)                                                             \
	X(rtnl_, route_nh_get_ifindex)                                                             \
	X(rtnl_, route_nh_set_gateway)                                                             \
	X(rtnl_, route_nh_set_ifindex)                                                             \
	X(rtnl_, route_put)                                                                        \
	X(rtnl_, route_set_dst)                                                                    \
	X(rtnl_, route_set_priority)                                                               \
	X(rtnl_, route_set_protocol)                                                               \
	X(rtnl_, route_set_scope)                                                                  \
	X(rtnl_, route_set_table)                                                                  \
	X(rtnl_, route_set_type)                                                                   \
	X(rtnl_, tc_get_handle)                                                                    \
	X(rtnl_, tc_get_stat)

struct lazy_netlink {
	struct {
		LAZY_NL(LAZY_POINTER)
	} nl;
	struct {
		LAZY_NLA(LAZY_POINTER)
	} nla;
	struct {
		LAZY_RTNL(LAZY_POINTER)
	} rtnl;
};

/* Loads them the first time. From any thread, as often as one likes. */
int lazy_netlink_open(struct error *e);
/* Only after lazy_netlink_open() has returned 0. */
const struct lazy_netlink *lazy_netlink(void);

#define nl_addr_build lazy_netlink()->nl.addr_build
#define nl_addr_get_binary_addr lazy_netlink()->nl.addr_get_binary_addr
#define nl_addr_get_family lazy_netlink()->nl.addr_get_family
#define nl_addr_get_prefixlen lazy_netlink()->nl.addr_get_prefixlen
#define nl_addr_put lazy_netlink()->nl.addr_put
#define nl_addr_set_prefixlen lazy_netlink()->nl.addr_set_prefixlen
#define nl_cache_free lazy_netlink()->nl.cache_free
#define nl_cache_get_first lazy_netlink()->nl.cache_get_first
#define nl_cache_get_next lazy_netlink()->nl.cache_get_next
#define nl_connect lazy_netlink()->nl.connect
#define nl_geterror lazy_netlink()->nl.geterror
#define nl_recvmsgs_default lazy_netlink()->nl.recvmsgs_default
#define nl_send_simple lazy_netlink()->nl.send_simple
#define nl_send_sync lazy_netlink()->nl.send_sync
#define nl_socket_alloc lazy_netlink()->nl.socket_alloc
#define nl_socket_disable_seq_check lazy_netlink()->nl.socket_disable_seq_check
#define nl_socket_free lazy_netlink()->nl.socket_free
#define nl_socket_get_fd lazy_netlink()->nl.socket_get_fd
#define nl_socket_modify_cb lazy_netlink()->nl.socket_modify_cb
#define nla_get_string lazy_netlink()->nla.get_string
#define nla_nest_end lazy_netlink()->nla.nest_end
#define nla_nest_start lazy_netlink()->nla.nest_start
#define nla_put lazy_netlink()->nla.put
#define nlmsg_alloc_size lazy_netlink()->nl.alloc_size
#define nlmsg_append lazy_netlink()->nl.append
#define nlmsg_find_attr lazy_netlink()->nl.find_attr
#define nlmsg_free lazy_netlink()->nl.free
#define nlmsg_hdr lazy_netlink()->nl.hdr
#define nlmsg_put lazy_netlink()->nl.put
#define rtnl_addr_add lazy_netlink()->rtnl.addr_add
#define rtnl_addr_alloc lazy_netlink()->rtnl.addr_alloc
#define rtnl_addr_put lazy_netlink()->rtnl.addr_put
#define rtnl_addr_set_ifindex lazy_netlink()->rtnl.addr_set_ifindex
#define rtnl_addr_set_local lazy_netlink()->rtnl.addr_set_local
#define rtnl_link_add lazy_netlink()->rtnl.link_add
#define rtnl_link_alloc lazy_netlink()->rtnl.link_alloc
#define rtnl_link_bridge_alloc lazy_netlink()->rtnl.link_bridge_alloc
#define rtnl_link_change lazy_netlink()->rtnl.link_change
#define rtnl_link_get_carrier lazy_netlink()->rtnl.link_get_carrier
#define rtnl_link_get_carrier_changes lazy_netlink()->rtnl.link_get_carrier_changes
#define rtnl_link_get_flags lazy_netlink()->rtnl.link_get_flags
#define rtnl_link_get_ifindex lazy_netlink()->rtnl.link_get_ifindex
#define rtnl_link_get_kernel lazy_netlink()->rtnl.link_get_kernel
#define rtnl_link_get_mtu lazy_netlink()->rtnl.link_get_mtu
#define rtnl_link_get_stat lazy_netlink()->rtnl.link_get_stat
#define rtnl_link_inet_set_conf lazy_netlink()->rtnl.link_inet_set_conf
#define rtnl_link_put lazy_netlink()->rtnl.link_put
#define rtnl_link_set_addr lazy_netlink()->rtnl.link_set_addr
#define rtnl_link_set_flags lazy_netlink()->rtnl.link_set_flags
#define rtnl_link_set_ifindex lazy_netlink()->rtnl.link_set_ifindex
#define rtnl_link_set_master lazy_netlink()->rtnl.link_set_master
#define rtnl_link_set_mtu lazy_netlink()->rtnl.link_set_mtu
#define rtnl_link_set_name lazy_netlink()->rtnl.link_set_name
#define rtnl_link_set_ns_fd lazy_netlink()->rtnl.link_set_ns_fd
#define rtnl_link_set_txqlen lazy_netlink()->rtnl.link_set_txqlen
#define rtnl_link_unset_flags lazy_netlink()->rtnl.link_unset_flags
#define rtnl_link_veth_alloc lazy_netlink()->rtnl.link_veth_alloc
#define rtnl_link_veth_get_peer lazy_netlink()->rtnl.link_veth_get_peer
#define rtnl_qdisc_alloc_cache lazy_netlink()->rtnl.qdisc_alloc_cache
#define rtnl_qdisc_get_by_parent lazy_netlink()->rtnl.qdisc_get_by_parent
#define rtnl_qdisc_put lazy_netlink()->rtnl.qdisc_put
#define rtnl_route_add lazy_netlink()->rtnl.route_add
#define rtnl_route_add_nexthop lazy_netlink()->rtnl.route_add_nexthop
#define rtnl_route_alloc lazy_netlink()->rtnl.route_alloc
#define rtnl_route_alloc_cache lazy_netlink()->rtnl.route_alloc_cache
#define rtnl_route_delete lazy_netlink()->rtnl.route_delete
#define rtnl_route_get_dst lazy_netlink()->rtnl.route_get_dst
#define rtnl_route_get_nnexthops lazy_netlink()->rtnl.route_get_nnexthops
#define rtnl_route_get_priority lazy_netlink()->rtnl.route_get_priority
#define rtnl_route_get_protocol lazy_netlink()->rtnl.route_get_protocol
#define rtnl_route_get_scope lazy_netlink()->rtnl.route_get_scope
#define rtnl_route_get_table lazy_netlink()->rtnl.route_get_table
#define rtnl_route_get_type lazy_netlink()->rtnl.route_get_type
#define rtnl_route_nexthop_n lazy_netlink()->rtnl.route_nexthop_n
#define rtnl_route_nh_alloc lazy_netlink()->rtnl.route_nh_alloc
#define rtnl_route_nh_free lazy_netlink()->rtnl.route_nh_free
#define rtnl_route_nh_get_gateway lazy_netlink()->rtnl.route_nh_get_gateway
#define rtnl_route_nh_get_ifindex lazy_netlink()->rtnl.route_nh_get_ifindex
#define rtnl_route_nh_set_gateway lazy_netlink()->rtnl.route_nh_set_gateway
#define rtnl_route_nh_set_ifindex lazy_netlink()->rtnl.route_nh_set_ifindex
#define rtnl_route_put lazy_netlink()->rtnl.route_put
#define rtnl_route_set_dst lazy_netlink()->rtnl.route_set_dst
#define rtnl_route_set_priority lazy_netlink()->rtnl.route_set_priority
#define rtnl_route_set_protocol lazy_netlink()->rtnl.route_set_protocol
#define rtnl_route_set_scope lazy_netlink()->rtnl.route_set_scope
#define rtnl_route_set_table lazy_netlink()->rtnl.route_set_table
#define rtnl_route_set_type lazy_netlink()->rtnl.route_set_type
#define rtnl_tc_get_handle lazy_netlink()->rtnl.tc_get_handle
#define rtnl_tc_get_stat lazy_netlink()->rtnl.tc_get_stat

#endif
