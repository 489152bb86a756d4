//! What every store promises, as cases that run over each of them. The memory store is the reference.
//!
//! A case is a generic function over a [`Fixture`](conformance::kit::Fixture); the macro below makes one test of
//! each case for each store. A store joins by a fixture and one line at the end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy's own exemption does not reach functions that tests share"
)]

mod conformance {
    pub(crate) mod kit;

    pub(crate) mod due;
    pub(crate) mod feed;
    pub(crate) mod logs;
    pub(crate) mod quantities;
    pub(crate) mod races;
    pub(crate) mod random;
    pub(crate) mod receipts;
    pub(crate) mod records;
    pub(crate) mod restart;

    pub(crate) mod embedded;
    pub(crate) mod memory;
    pub(crate) mod redis;
    pub(crate) mod topologies;
}

mod support {
    pub(crate) mod redis;
    pub(crate) mod topologies;
}

/// The cases that every store must pass, given to another macro.
macro_rules! every_case {
    ($then:ident, $fixture:ty) => {
        $then! { $fixture:
            records {
                absent_and_present_records_load_in_the_order_asked
                a_commit_applies_everything_at_once
                a_write_replaces_and_a_delete_removes
                a_conflict_returns_every_expected_record_fresh_and_in_order
                a_record_expected_absent_that_is_there_conflicts
                a_record_expected_at_a_token_that_is_gone_conflicts
                the_same_sequence_under_another_head_is_refused
                checks_stand_in_order_receipts_expectations_logs_guards
                bodies_and_fingerprints_keep_every_byte
                keys_with_any_legal_character_stay_apart
                the_same_name_in_two_partitions_is_two_records
                an_empty_commit_applies
                the_store_counts_its_trips_and_answers_pings
            }
            receipts {
                a_replay_answers_what_was_stored_first_and_changes_nothing
                a_reused_id_is_told_from_a_replay
                one_receipt_of_several_that_exists_stops_the_whole_commit
                a_receipt_that_is_no_longer_kept_counts_as_absent
                a_commit_that_is_not_applied_leaves_no_receipt
            }
            quantities {
                a_failed_guard_names_key_and_rest_and_changes_nothing
                quantities_are_exact_up_to_the_largest_integer
                a_quantity_never_leaves_its_bounds
            }
            logs {
                entries_are_read_in_pages
                an_append_that_does_not_continue_its_log_is_refused_as_damage
                an_append_of_nothing_changes_nothing
            }
            feed {
                positions_rise_and_are_never_given_twice
                a_walk_sees_every_partition_once_and_ends
                a_crowded_partition_shows_its_oldest_and_keeps_no_other_waiting
            }
            due {
                a_due_time_is_set_replaced_and_removed
                what_is_due_at_exactly_the_asked_instant_is_included
                a_walk_shows_the_earliest_of_every_partition_and_ends
            }
            races {
                increments_of_one_account_from_64_tasks_all_count_once
                one_request_id_from_64_tasks_applies_once
                sixty_four_tasks_take_no_more_than_there_is
                one_order_under_64_request_ids_is_made_once
            }
        }
    };
}

/// The cases that only a store can pass that outlives its process.
macro_rules! durable_case {
    ($then:ident, $fixture:ty) => {
        $then! { $fixture:
            restart {
                everything_is_there_after_a_restart
                replay_conflict_and_guard_hold_across_a_restart
            }
            random {
                random_commits_fare_as_on_the_reference_store
            }
        }
    };
}

/// One test for each case, over stores made by a fixture.
macro_rules! cases {
    ($fixture:ty: $($module:ident { $($case:ident)* })*) => {$(
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::conformance::$module::$case::<$fixture>().await;
                }
            )*
        }
    )*};
}

/// All cases in one test, one after the other: for stores on something that takes long to start.
macro_rules! in_turn {
    ($fixture:ty: $($module:ident { $($case:ident)* })*) => {
        $($(
            crate::conformance::kit::case(stringify!($case));
            crate::conformance::$module::$case::<$fixture>().await;
        )*)*
    };
}

/// What every store must pass; with `durable`, also what only one can pass that outlives its process; `in_turn`
/// is that in one test.
macro_rules! conformance {
    ($store:ident, $fixture:ty) => {
        mod $store {
            every_case!(cases, $fixture);
        }
    };
    ($store:ident, $fixture:ty, durable) => {
        mod $store {
            every_case!(cases, $fixture);
            durable_case!(cases, $fixture);
        }
    };
    ($store:ident, $fixture:ty, in_turn) => {
        mod $store {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn every_case() {
                every_case!(in_turn, $fixture);
                durable_case!(in_turn, $fixture);
            }
        }
    };
}

conformance!(memory, crate::conformance::memory::MemoryFixture);
conformance!(embedded, crate::conformance::embedded::EmbeddedFixture, durable);
conformance!(redis, crate::conformance::redis::RedisFixture, durable);
conformance!(redis_sentinel, crate::conformance::topologies::OnSentinels, in_turn);
conformance!(redis_cluster, crate::conformance::topologies::OnCluster, in_turn);
conformance!(redis_tls, crate::conformance::topologies::OnTls, in_turn);
