// Every limit of Beeline, with its unit and the reason for its value.
//
// A limit that an operator may want to change has an option of the same name (see
// docs/operations.md); the constant is then the default, and the option's own range stands with the
// option (config.cpp of each program). Every limit that refuses, drops or closes is counted when it is hit.
//
// Elsewhere stand only what a format demands (lengths in MQTT, in frames), shapes and steps of data
// structures and loops, and what follows from limits here: link::accepted_window::limit is two windows.
// Owner: nobody, constants only.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace beeline::limits {

using namespace std::chrono_literals;
inline constexpr std::size_t KiB = 1024, MiB = 1024 * KiB, GiB = 1024 * MiB;

// --- names and messages -------------------------------------------------------------------------
inline constexpr std::size_t client_id_bytes_max = 128; // fits a UUID with a prefix; one length byte on links
inline constexpr std::size_t topic_bytes_max = 1 * KiB; // MQTT allows 65,535; nobody needs it, everybody pays
inline constexpr std::size_t packet_bytes_max = 1 * MiB;           // one MQTT packet, fixed header included
inline constexpr std::size_t user_properties_bytes_max = 64 * KiB; // per PUBLISH (CAT-15)
inline constexpr std::size_t connect_bytes_max = 64 * KiB;         // CONNECT packet (CAT-1)
inline constexpr std::size_t edge_name_bytes_max = 64;
inline constexpr std::size_t reason_bytes_max = 256; // text in error and go-away frames

// --- links ----------------------------------------------------------------------------------------
inline constexpr std::size_t frame_bytes_max = packet_bytes_max + 2 * KiB; // one message and its header
inline constexpr std::size_t handshake_frame_bytes_max = 1 * KiB; // before the peer has proved the secret
inline constexpr std::size_t link_output_bytes_max = 8 * MiB;  // data queued for one link, then busy / drop
inline constexpr std::size_t link_output_bytes_high = 4 * MiB; // a lane stops reading publishers here ...
inline constexpr std::size_t link_output_bytes_low = 1 * MiB;  // ... and resumes here
inline constexpr std::size_t urgent_bytes_max =
    2 * link_output_bytes_max;                            // answers that a lane does not take
inline constexpr std::size_t sync_output_max = 256 * KiB; // registrations queued at once for one link
inline constexpr std::size_t outputs_bytes_max = 1 * GiB; // all outputs and windows of one shard or lane
inline constexpr std::size_t incomplete_share = 4; // of that memory, for packets that are not whole: a 4th
inline constexpr std::size_t client_output_scarce =
    16 * KiB; // unsent bytes at which a client is not read, while that memory is full
inline constexpr std::size_t expiring_output_max =
    16 *
    KiB; // unsent bytes at which QoS 1 that can expire waits in the queue: what is written is not called back
inline constexpr std::size_t control_batch_bytes =
    48 * KiB;                                   // registrations and answers are cut into such frames
inline constexpr std::size_t links_max = 4'096; // of one shard: lanes of all edges that have shown the secret
inline constexpr std::size_t handshakes_max =
    1'024; // of one shard, not done: as many lanes may come at once; then the oldest makes room
inline constexpr std::size_t clients_max =
    16 * MiB; // client ids of one shard: 28 bytes each, 448 MiB of presence table
inline constexpr std::size_t members_max = 65'000; // link incarnations alive or in quarantine at a shard
inline constexpr std::uint64_t report_messages_max =
    std::uint64_t{1} << 48; // of one report: more than a lane answers in its life, far from an overflow
inline constexpr std::size_t shards_per_router_max = 256;
inline constexpr std::size_t routers_max = 64;
inline constexpr std::size_t lanes_max = 256; // of one edge server

inline constexpr std::size_t window_messages_max = 1 * MiB; // in flight of one lane (power of two: a ring)
inline constexpr std::size_t link_window_bytes_max =
    4 * MiB; // in flight on one link; resent whole after a cut
inline constexpr std::size_t sender_turn_bytes =
    8 * KiB; // of a sender that waits for a link, before the next has its turn: some 50 small messages
inline constexpr std::size_t link_addresses_max =
    4'096; // of shards: rows of a lane's statistics, the last one for all others; routers announce them, and
           // the list only grows
inline constexpr std::size_t receipts_max =
    262'144; // of one lane: messages whose senders wait for the recipient; and those its own clients owe
inline constexpr std::size_t origins_remembered_max = 16'384; // lanes whose accepted identities a lane keeps
inline constexpr std::size_t claims_contested_max = 262'144;  // client ids claimed twice at one moment
inline constexpr std::size_t pool_kept_bytes_max = 8 * MiB;   // free blocks of one size that a lane keeps
inline constexpr std::size_t small_chunks_kept =
    8'192; // free ones of 512 bytes: 4 MiB of a loop's outputs ...
inline constexpr std::size_t large_chunks_kept = 1'024; // ... and of 16 KiB: 16 MiB; more goes back to malloc

// --- clients ----------------------------------------------------------------------------------------
inline constexpr std::size_t connections_max = 100'000; // of one edge server; the file limit is usually lower
inline constexpr std::size_t connections_per_address_max =
    0; // no limit: behind one address may be a whole mobile network, or our own load balancer
inline constexpr unsigned connect_rate = 4'000; // connections taken in a second: a quarter of what two
                                                // processors can, so that a herd leaves others time
inline constexpr auto connect_burst = 50ms;     // so much of a second's share may come at once
inline constexpr std::size_t prelogin_bytes_max =
    8 * MiB; // all bytes of connections without CONNECT, of one edge server
inline constexpr std::size_t inflight_messages_max = 1'024; // QoS 1 of one client without an answer, each way
inline constexpr std::size_t inflight_bytes_max = 1 * MiB;
inline constexpr std::size_t pending_messages_max = 1'000; // waiting for a recipient with a full window
inline constexpr std::size_t pending_bytes_max = 1 * MiB;
inline constexpr std::size_t client_output_bytes_max =
    1 * MiB;                                          // unsent bytes of a slow reader, then QoS 0 drops
inline constexpr std::size_t subscriptions_max = 100; // filters of one client
inline constexpr std::uint16_t topic_alias_max = 16;

// --- sockets, and one turn of a loop: a busy socket leaves room for the others ----------------------
inline constexpr int loop_events_max = 512;              // sockets handled in one turn
inline constexpr int accepts_max = 64;                   // of one listener in one turn
inline constexpr int stream_reads_max = 4;               // of one socket in one turn
inline constexpr int stream_writes_max = 8;              // of one socket in one turn
inline constexpr std::size_t read_bytes_max = 256 * KiB; // of one read
inline constexpr std::size_t write_pieces_max = 64;      // of one gather write: 1 MiB of large chunks
inline constexpr std::size_t link_notsent_bytes_max =
    128 * KiB; // of a link in the kernel: urgent frames cannot pass what is there
inline constexpr int listen_backlog = 4'096; // connections in the kernel that wait to be accepted
inline constexpr auto accept_pause = 100ms;  // after an accept that failed, for descriptors to free up

// --- time -------------------------------------------------------------------------------------------
inline constexpr auto heartbeat_interval = 500ms;
inline constexpr auto silence_max = 3s; // of a link: it is dead
inline constexpr auto frame_time_max =
    10s; // of a link: bytes come, and no whole frame: its length is damaged
inline constexpr auto write_stall_max = 10s;  // output queued and the peer takes nothing
inline constexpr auto client_stall_max = 30s; // output waits for a client and it takes nothing
inline constexpr auto link_unacknowledged_max =
    10s; // bytes of a link that the peer's kernel does not acknowledge: TCP gives the link up
inline constexpr auto pause_max = 2s; // of the own loop: links are stale (shorter than silence_max)
inline constexpr int linger_times_max =
    5; // of linger, in all: a lane that links and is never in sync is gone
inline constexpr auto sync_stall_max = 10s; // a linked lane that is not in sync registers nobody for so long
inline constexpr auto linger = 2s;          // a lost lane's clients stay known, in case it returns
inline constexpr auto warm_up = 6s;         // beyond the last progress of a linked lane
// A lane's list of lanes is stale when the shard's newest heartbeat was older than the first as its link was
// lost, or than the second as the list is handed to the shard's next life.
inline constexpr auto list_silence_max = 1250ms, list_age_max = 3000ms;
inline constexpr auto stale_lists_wait = 1500ms; // of a warm-up, for lanes that no list has
inline constexpr int warm_up_times_max = 10;     // of warm_up, in all: a lane never in sync cannot stop us
inline constexpr auto notice_interval =
    10ms; // between notices of lost links: an edge's lanes fall within so long, each a frame for every link
inline constexpr auto index_quarantine = 60s; // before a member index names another lane
inline constexpr auto link_connect_max = 3s;  // a link's name resolved and TCP up, all its addresses together
inline constexpr auto handshake_max = 3s;
inline constexpr auto connect_max = 5s;     // TCP accept to whole CONNECT
inline constexpr auto registered_max = 5s;  // CONNECT to registered, else CONNACK 0x88
inline constexpr auto close_flush_max = 2s; // a closing connection may still send its last words
inline constexpr auto report_interval = 1s; // between a lane's reports of latencies to a router
inline constexpr auto stop_max = 2s;        // a loop that ends waits so long for all of these
inline constexpr auto client_check_interval =
    250ms;                                        // a quarter of a lane's clients each time: all in a second
inline constexpr auto window_check_interval = 1s; // of what waits too long: the bounds are many seconds
inline constexpr auto reconnect_min = 20ms;
inline constexpr auto reconnect_max = 1s;
inline constexpr auto link_down_max = 60s; // a message waits so long for a link that is down, then 0x83
inline constexpr auto safety_resend = 10s; // a flow's oldest message without an answer on a live link
inline constexpr auto resend_pause_max = 250ms;
inline constexpr unsigned resends_max = 48; // retry / not here / busy for one message, then refused
inline constexpr auto keep_alive_max = 600s;
inline constexpr auto answer_goal = 1s;      // what takes longer is counted apart
inline constexpr auto drain_max = 30s;       // an edge that is to end waits so long for its clients to go
inline constexpr auto drain_patience = 3s;   // one client that is to go, for its messages to be settled
inline constexpr auto drain_interval = 10ms; // between looks at who may go
inline constexpr unsigned drain_rate =
    1'000; // clients told to go a second: the other edges have to take them in
inline constexpr auto receipt_timeout = 30s; // a recipient may take so long to acknowledge, then 0x83
inline constexpr auto receipt_kept = 60s; // that its origin has not heard: that lane is gone, or links anew

// --- operations -------------------------------------------------------------------------------------
inline constexpr std::size_t admin_connections_max = 64;       // HTTP connections, then 503
inline constexpr std::size_t admin_header_bytes_max = 8 * KiB; // of one request, then 431
inline constexpr std::size_t admin_body_bytes_max = 64 * KiB;  // of one request, then 413
inline constexpr std::size_t admin_query_parameters_max = 32;  // of one request, then 400
inline constexpr auto admin_idle_max = 10s;                    // one whole request, or one whole answer
inline constexpr auto admin_answer_max = 3s;                   // another thread's answer, then 504
inline constexpr auto page_patience = 250ms; // for the thread that gives way; then the control loop makes it
inline constexpr std::size_t admin_refusals_max = 16;           // connections that are being told 503
inline constexpr auto admin_drain_max = 1s;                     // for a peer to read our last words ...
inline constexpr std::size_t admin_drain_bytes_max = 256 * KiB; // ... while it still sends so much
inline constexpr std::size_t drops_kept = 1'000;       // newest drops and refusals, of each shard or lane
inline constexpr std::size_t clients_page_max = 1'000; // clients of one answer ...
inline constexpr std::size_t clients_page = 100;       // ... unless asked for more
inline constexpr std::size_t clients_step_max = 256;   // of them, told in one turn
inline constexpr std::size_t clients_walk_max = 4'096; // sessions looked at in one turn for such an answer
inline constexpr std::size_t clients_walks_max = 64;   // turns for one answer, then it says where to go on
inline constexpr std::size_t edges_page_max = 1'000;   // edges of one answer ...
inline constexpr std::size_t edges_page = 100;         // ... unless asked for more
// Links of such an answer: 3.5 ms of processor time, 0.9 MB; one edge may have more, it is told whole.
inline constexpr std::size_t edges_page_links = 1'024;
inline constexpr std::size_t explained_drops_max = 20; // of one client
inline constexpr std::size_t admin_answer_bytes_max =
    64 * MiB; // that the tool reads of one page; /edges of one edge with 65,536 links takes 48 MiB
inline constexpr auto rates_interval = 1s;    // between samples of counters
inline constexpr std::size_t rates_kept = 61; // samples: a minute
inline constexpr auto link_rates_window =
    10s; // of a link's rates: short, as each of thousands keeps its samples
inline constexpr auto pulse_interval = 250ms; // between questions whether a lane or shard still turns
inline constexpr auto pulse_silence_max = 1s; // without an answer: it is stalled, /healthz says 503
inline constexpr auto signal_repeat_max =
    100ms; // after SIGTERM or SIGINT: another one is the same wish, said twice; nobody's finger is as quick
inline constexpr std::uint64_t descriptors_spare =
    128; // for what is neither a client nor a lane's: the admin server's connections, files
inline constexpr std::uint64_t descriptors_per_lane =
    32; // of an edge server, for what no client may take: loop, listener, links
inline constexpr std::uint64_t lane_links_covered = 24; // by these; each link beyond takes a client's
inline constexpr std::size_t memory_reserve_bytes =
    4 * MiB; // of one lane or shard, for when there is no more: what one turn for one client takes, and more
inline constexpr std::size_t memory_reserve_block = 64 * KiB; // below malloc's own mappings: it is heap again
inline constexpr std::size_t memory_reserve_last =
    1 * MiB;                                 // of these, for what must not fail: the end of connections
inline constexpr auto memory_short_min = 1s; // a lane or shard takes no more messages for so long
inline constexpr std::size_t host_name_bytes_max = 253;    // of DNS
inline constexpr std::size_t quoted_bytes_max = 120;       // of an operator's wrong word in an error message
inline constexpr std::size_t secret_bytes_max = 4 * KiB;   // a secret file; bigger is the wrong file
inline constexpr std::size_t config_bytes_max = 1 * MiB;   // a configuration file; likewise
inline constexpr std::size_t log_line_bytes_max = 4 * KiB; // longer log messages are cut
inline constexpr unsigned log_lines_per_second_max = 5;    // of one log site that peers can trigger
inline constexpr unsigned log_link_lines_per_second_max = 50; // news of links: one each in a large cluster
inline constexpr unsigned log_close_lines_per_second_max = 1'000; // ends of clients, at level debug only
inline constexpr auto log_suppressed_interval = 10s; // between lines that say how many were not written
inline constexpr auto log_accept_interval = 5s;      // between lines that accepts fail

static_assert(link_output_bytes_low < link_output_bytes_high &&
              link_output_bytes_high < link_output_bytes_max);
static_assert(2 * link_window_bytes_max <= link_output_bytes_max, "a whole window may be queued twice");
static_assert((window_messages_max & (window_messages_max - 1)) == 0);
static_assert(heartbeat_interval * 2 < list_silence_max && reconnect_max < stale_lists_wait &&
              stale_lists_wait < warm_up);
static_assert(pause_max < silence_max && heartbeat_interval * 3 < silence_max);
static_assert(write_pieces_max <= 1'024, "IOV_MAX");
static_assert(descriptors_spare > admin_connections_max + admin_refusals_max);
static_assert(memory_reserve_last < memory_reserve_bytes && connect_bytes_max <= prelogin_bytes_max);
static_assert(links_max <= members_max && host_name_bytes_max < 256);
static_assert(pulse_interval < pulse_silence_max);
static_assert(link_rates_window + rates_interval < index_quarantine, "samples name links by their index");
static_assert(frame_bytes_max < (1u << 24), "the frame length has 24 bits");
static_assert(connect_bytes_max <= packet_bytes_max && client_id_bytes_max < 256);

} // namespace beeline::limits
