// The router's /edges: edges by name, a page at a time, each with its links and what went over them.
//
//   /edges?limit=2            {"edges": [e1, e2], "next": "e2"}
//   /edges?limit=2&after=e2   {"edges": [e3], "next": null}
//
// Edges come and go while pages are turned; as the place in the list is a name, those that stay are told
// once. A page has at most `limit` edges, and fewer when they have more than limits::edges_page_links links
// together. Pure functions; any thread.
#pragma once
#include "common/ops/admin_http.hpp"
#include "router/link_rates.hpp"

#include <string>

namespace beeline::router {

struct edges_query {
  std::size_t limit = limits::edges_page;
  std::string after; // the name of an edge; empty: from the first
};
edges_query read_edges_query(const ops::query_map& query); // throws http_error

// `shards`: what each says of the lanes of edges behind `after`, `limit` edges and edges_page_links links of
// each. Where one stopped, what others say of edges behind it is left for the next page: it may have links
// of them too.
ops::http_response edges_page(const std::vector<shard::lanes_told>& shards, const edges_query& query,
                              const link_window& rates);

} // namespace beeline::router
