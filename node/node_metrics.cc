#include "node/node_metrics.h"

namespace holdfast::node {

NodeMetrics::NodeMetrics(MetricRegistry& registry)
    : accepted(registry.AddCounter("holdfast_messages_accepted_total",
                                   "Messages answered with 250 after the dot.")),
      accepted_bytes(registry.AddCounter("holdfast_messages_accepted_bytes_total",
                                         "Content bytes of accepted messages.")),
      rejected(registry.AddCounter("holdfast_smtp_rejected_total",
                                   "Commands and messages that clients had refused.")),
      connections(registry.AddCounter("holdfast_smtp_connections_total",
                                      "Client connections that got a greeting.")),
      turned_away(registry.AddCounter("holdfast_smtp_turned_away_total",
                                      "Client connections answered 421 because of a limit.")),
      delivered(registry.AddCounter("holdfast_recipients_delivered_total",
                                    "Recipients whose mail a remote took over.")),
      deferred(registry.AddCounter("holdfast_recipients_deferred_total",
                                   "Recipients put off to a later attempt.")),
      bounced(registry.AddCounter("holdfast_recipients_bounced_total",
                                  "Recipients that failed for good.")),
      expired(registry.AddCounter("holdfast_recipients_expired_total",
                                  "Recipients given up after the expiry.")),
      removed(registry.AddCounter("holdfast_recipients_removed_total",
                                  "Recipients ended by an operator.")),
      suppressed(registry.AddCounter("holdfast_recipients_suppressed_total",
                                     "Recipients ended by the suppression list.")),
      attempts(registry.AddCounter("holdfast_attempts_total", "Attempts that ended.")),
      notices(registry.AddCounter("holdfast_notices_total",
                                  "Delivery status notifications put into the queue.")),
      in_doubt(registry.AddCounter("holdfast_attempts_in_doubt_total",
                                   "Attempts whose outcome could not be known.")),
      replays_suppressed(registry.AddCounter(
          "holdfast_replays_suppressed_total",
          "Messages offered again that were accepted before, and not stored again.")),
      replay_questions(registry.AddCounter(
          "holdfast_replay_questions_total",
          "Messages about which the other nodes were asked whether they were accepted before.")),
      replays_unanswered(
          registry.AddCounter("holdfast_replays_unanswered_total",
                              "Of those, answered 451 because not all groups could say.")),
      load_hand_overs(registry.AddCounter("holdfast_load_hand_overs_total",
                                          "Groups handed to other nodes because of the load.")),
      attempts_running(registry.AddGauge("holdfast_attempts_running", "Attempts under way.")),
      commit_seconds(registry.AddHistogram("holdfast_commit_seconds",
                                           "From the end of a message to its commit and apply.",
                                           Histogram::LatencyBounds())),
      attempt_seconds(registry.AddHistogram("holdfast_attempt_seconds", "Duration of attempts.",
                                            Histogram::WaitBounds())),
      queue_seconds(registry.AddHistogram("holdfast_queue_seconds",
                                          "From acceptance to delivery of a recipient.",
                                          Histogram::WaitBounds())) {}

}  // namespace holdfast::node
