//! The whole way of a call: gRPC over loopback, the service, a real store.
//!
//! A case is a generic function over a [`World`](support::server::World); the macro below makes one test of each case
//! for each store. What only one store has (a server that dies, a file) has tests of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy's own exemption does not reach functions that tests share"
)]

mod support {
    pub(crate) mod faulty;
    pub(crate) mod redis;
    pub(crate) mod server;
}

mod end_to_end_cases {
    pub(crate) mod audit;
    pub(crate) mod boards;
    pub(crate) mod budgets;
    pub(crate) mod draws;
    pub(crate) mod events;
    pub(crate) mod explain;
    pub(crate) mod faults;
    pub(crate) mod flows;
    pub(crate) mod guests;
    pub(crate) mod jobs;
    pub(crate) mod limits;
    pub(crate) mod moves;
    pub(crate) mod occasions;
    pub(crate) mod once;
    pub(crate) mod oneself;
    pub(crate) mod outages;
    pub(crate) mod payouts;
    pub(crate) mod people;
    pub(crate) mod prices;
    pub(crate) mod quotas;
    pub(crate) mod quotes;
    pub(crate) mod races;
    pub(crate) mod recipients;
    pub(crate) mod referral;
    pub(crate) mod stamps;
    pub(crate) mod standing;
    pub(crate) mod stats;
    pub(crate) mod stock;
    pub(crate) mod suspicion;
    pub(crate) mod touches;
    pub(crate) mod traps;
    pub(crate) mod trees;
    pub(crate) mod trips;
}

/// One test for each case, over each store.
macro_rules! cases {
    ($($module:ident { $($case:ident)* })*) => {
        cases! { @on memory crate::support::server::MemoryWorld: $($module { $($case)* })* }
        cases! { @on embedded crate::support::server::EmbeddedWorld: $($module { $($case)* })* }
        cases! { @on redis crate::support::server::RedisWorld: $($module { $($case)* })* }
    };
    (@on $store:ident $world:ty: $($module:ident { $($case:ident)* })*) => {
        mod $store {$(
            mod $module {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        crate::end_to_end_cases::$module::$case::<$world>().await;
                    }
                )*
            }
        )*}
    };
}

cases! {
    audit {
        f5_an_administrative_write_is_listed_once_with_who_and_why
        f5_what_is_refused_is_listed_and_what_came_to_no_decision_is_not
        f5_moves_payouts_and_what_an_agent_says_for_a_friend_are_listed
        f5_the_audit_is_narrowed_and_paged_from_either_end
        f5_what_nobody_asked_for_is_passed_over_some_at_a_time
        f5_what_the_store_loses_on_the_way_to_the_audit_is_listed_once
        f5_two_servers_that_record_at_once_leave_no_gap
        f5_who_is_erased_leaves_no_note_in_the_audit
    }
    boards {
        d6_ties_pages_periods_and_ones_own_rank
        d6_who_hides_is_merged_or_erased_vanishes
        d6_a_board_is_told_once_whoever_tells_it_and_however_often
    }
    draws {
        d7_pool_a_race_draws_every_ticket_once_and_the_list_proves_it
        d7_pool_what_a_dead_write_took_out_goes_back_into_the_drum
    }
    flows {
        a_checkout_from_enrolment_to_return_keeps_the_books
        a_guest_is_told_what_a_new_member_would_get
        the_ledger_is_read_in_pages_and_its_chain_can_be_recomputed
        a_page_token_goes_on_with_its_own_ledger_and_period_and_cannot_be_altered
        a_correction_credits_and_debits_and_takes_no_more_than_there_is
        a_reservation_is_replaced_released_and_overtaken
        a_friend_brings_both_rewards_and_a_return_claws_them_back
        a_quote_of_a_return_tells_what_the_return_does
        what_does_not_exist_is_not_found_by_name
        a_quote_is_what_the_commit_does
        c8_an_exchange_is_one_order_to_the_end
    }
    occasions {
        a9_birthdays_come_without_a_call_and_are_announced_once
        a9_the_first_occasion_of_a_program_reaches_who_sleeps
    }
    explain {
        e4_an_order_is_explained_whether_its_trace_was_kept_or_not
        e4_a_guests_order_is_explained_before_and_after_it_is_claimed
        a13_a_limit_over_all_members_is_shared_shown_and_explained
        b11_erasing_a_member_removes_the_traces_that_were_kept
    }
    once {
        every_write_sent_again_gets_the_same_answer_and_does_nothing
        a_request_id_used_for_something_else_is_refused_naming_the_field
        a_refusal_is_remembered_and_a_new_request_is_decided_anew
        a_missing_predecessor_is_not_remembered
        an_order_is_committed_once_whatever_request_id_carries_it
        a_return_is_applied_once_whatever_request_id_carries_it
        an_outcome_is_unknown_answered_or_fenced
        a_callers_clock_that_is_ahead_loses_no_order
        f1_a_servers_clock_that_jumps_loses_nothing_and_does_nothing_twice
        a_quote_of_a_committed_order_says_so
        verification_tells_an_order_that_was_committed_twice_because_its_record_was_lost
        verification_looks_at_what_is_stored_and_not_at_what_is_remembered
        nothing_is_decided_while_the_clock_is_off
    }
    races {
        c13_two_hundred_reserves_on_a_balance_for_fifty_hold_fifty
        c13_two_hundred_checkouts_spend_no_more_than_there_is
        c13_parallel_commits_of_one_member_are_all_served_and_none_told_to_retry
        two_instances_with_stale_caches_decide_again_on_what_is_there
        one_request_sent_by_many_at_once_happens_once
        a_code_wished_for_by_many_belongs_to_one
    }
    events {
        a10_events_are_recorded_reviewed_and_revoked
        a10_a_proof_brought_by_many_at_once_counts_for_one
    }
    faults {
        lost_requests_and_lost_answers_change_nothing
        a_write_whose_outcome_stays_unknown_says_so_and_is_settled_by_a_resend
        a_caller_that_leaves_does_not_cut_its_write_in_half
        draining_answers_what_was_accepted_and_refuses_what_comes_after
    }
    jobs {
        a_reservation_lapses_and_points_expire_without_a_call
        without_the_sweeper_the_answers_are_the_same
        a_sweep_keeps_the_due_time_that_a_call_has_set
        an_effect_counts_once_though_the_relay_stops_before_it_says_so
        effects_may_come_twice_and_in_any_order
        an_effect_waits_for_its_account_and_blocks_no_other
    }
    guests {
        b1_a_parcel_releases_what_waits_for_it_once
        b2_expiry_is_extended_and_undone_over_the_wire
        b10_a_statement_covers_its_period_and_its_balances_run
        a17_a_guest_order_is_recorded_returned_and_claimed_once
        a17_of_many_claimants_at_once_one_has_the_order
        a17_a_claim_that_stopped_half_way_is_finished_by_any_call
    }
    stamps {
        a16_nine_coffees_and_the_tenth_is_free
        a16_one_of_the_nine_comes_back_before_the_free_one
        d7_a_draw_reveals_its_seed_when_it_is_over
    }
    moves {
        b9_a_merge_is_answered_with_what_is_there_and_survives_resends
        b9_a_crash_between_the_steps_of_a_merge_loses_and_doubles_nothing
        b9_merges_of_the_same_members_at_once_end_in_one_account
        b9_orders_that_run_against_a_merge_are_committed_once
        b8_a_gift_arrives_once_or_comes_back
        b8_a_household_is_made_joined_shared_and_left
        b11_erasure_leaves_a_sound_ledger_and_nothing_personal
    }
    payouts {
        r19_commission_is_pending_due_paid_or_voided_and_carried_over
        r19_commission_is_counted_once_whoever_sweeps_it_and_however_often
        r19_commission_of_a_pending_claim_accrues_once_it_is_confirmed
        r19_commission_that_met_a_conflict_is_not_overtaken
        r14_commission_of_a_partner_waits_for_the_review
        r5_partners_share_what_a_friend_brings_to_the_cent
    }
    people {
        a_profile_is_set_changed_shown_and_verified
    }
    limits {
        a13_program_many_orders_at_once_are_given_exactly_the_limit
        a13_program_all_or_nothing_leaves_what_is_too_little_for_one
        a13_program_so_many_times_and_each_day_anew
        a13_store_each_store_has_a_limit_of_its_own
        a13_program_and_store_together_hold_and_lose_nothing
    }
    recipients {
        a14_a_gift_reaches_whom_it_is_for_once_and_comes_back
        a14_gifts_to_one_member_from_many_at_once_all_arrive
        a14_a_crash_before_delivery_loses_no_gift
    }
    budgets {
        e1_a_commit_takes_from_its_slice_in_one_trip
        e1_a_budget_is_spent_to_the_last_unit_and_no_further
        e1_what_is_short_is_granted_as_far_as_it_goes
        e1_a_quote_sees_what_lies_in_slices
        e1_what_dies_between_pool_and_slice_is_neither_lost_nor_doubled
        e2_liability_is_capped_over_all_members_and_makes_room_again
        e3_brake_holds_over_instances_days_and_restarts
    }
    quotas {
        a13_global_many_at_once_are_granted_what_there_is_and_no_more
        a13_global_a_resend_uses_what_its_first_attempt_has_claimed
        a13_global_what_a_dead_write_has_claimed_comes_back_once
        a13_global_a_write_that_was_taken_for_dead_claims_anew
        b7_what_makes_up_for_an_order_is_given_once_and_shown_with_it
        a13_global_a_capacity_changed_by_a_new_version_counts_what_was_granted
    }
    referral {
        r1_codes_are_made_wished_for_blocked_and_shown
        r9_what_many_friends_bring_is_taken_in_together
        r10_two_who_name_each_other_at_once_are_not_both_attributed
        r11_rewards_are_held_multiplied_capped_and_taken_back
        r16_every_reason_is_told
        r16_rare_reasons_are_told_too
    }
    oneself {
        r13_friend_and_advocate_who_are_merged_bring_each_other_nothing
        r13_friends_who_join_the_household_of_their_advocate_bring_it_nothing_more
        r6_who_has_ordered_and_left_a_household_is_not_new
        r15_of_two_friends_who_become_one_each_is_taken_back_with_its_own_order
        r15_what_is_kept_and_meets_the_terms_is_taken_back_by_no_return
        r14_force_pays_what_was_earned_commission_too_and_never_for_what_came_back
        r17_a_claim_that_would_close_a_circle_is_shown_once
        r1_a_code_brings_no_more_than_those_of_its_campaign_may
    }
    suspicion {
        r13_who_refers_themselves_is_refused_flagged_or_told
        r13_a_quote_tells_what_a_commit_with_the_same_signals_decides
        r13_nothing_personal_is_stored_and_keys_are_changed
        r14_flagged_rewards_are_listed_decided_lapse_and_are_forced
    }
    prices {
        c12_member_prices_are_shown_side_by_side_and_taken_without_being_asked_for
        c12_the_lowest_prior_price_is_what_a_percentage_is_of
    }
    touches {
        r2_touches_are_kept_once_dropped_and_forgotten
        r2_many_touches_of_one_code_write_nothing_in_one_place
        r4_codes_come_before_touches_and_it_is_told_why
        r16_touches_that_are_too_late_or_too_old_are_told
        r5_a_shared_reward_arrives_with_each_advocate_and_goes_back
    }
    quotes {
        c6_a_token_of_one_instance_is_honoured_by_another_under_a_later_version
        c6_keys_of_quotes_are_changed_one_after_the_other
    }
    standing {
        e11_the_value_profile_is_shown_moved_by_returns_and_verified
        d3_status_and_goals_are_shown_set_lost_and_verified
    }
    stats {
        r18_figures_follow_what_happens_and_go_back_with_it
        r18_figures_are_exact_whoever_folds_them_and_however_often
        r18_the_funnel_goes_from_shares_over_touches_to_friends_by_channel_and_period
    }
    stock {
        c9_two_hundred_ask_at_once_for_fifty_and_exactly_fifty_have_one
        c9_reservations_hold_stock_and_what_they_give_back_is_had_again
        c9_a_large_stock_is_spread_and_sold_to_the_last_one
        c9_stock_that_comes_back_again_and_again_is_there_once
        c9_no_two_get_the_same_code_of_a_partner
        c9_what_dies_half_way_loses_no_stock_and_doubles_none
        c3_a_quote_tells_what_else_is_on_offer
        c9_what_lapsed_reservations_held_is_there_for_others_without_a_sweep
    }
    trees {
        r17_a_tree_is_shown_to_a_depth_in_pages_and_follows_what_happens
        r17_a_friend_stands_in_a_tree_once_whoever_writes_it_and_however_often
        r17_a_board_of_who_brings_the_most
        r17_referrals_of_an_advocate_are_listed_with_status_and_rewards
    }
    trips {
        a_warm_commit_is_one_trip_and_a_cold_one_two
    }
    traps {
        trap_1_two_checkouts_at_once_redeem_the_same_balance
        trap_2_a_redelivered_order_event_awards_again
        trap_3_buy_earn_spend_return_and_keep_the_points
        trap_4_a_return_recomputed_with_todays_rule
        trap_5_the_part_paid_with_points_is_paid_back_as_cash
        trap_6_parts_miss_the_total_by_a_cent
        trap_7_the_reward_counts_as_spend
        trap_8_a_commit_after_its_hold_has_lapsed
        trap_9_expiry_is_off_by_one_at_the_instant_itself
        trap_10_cancelled_then_completed_again
        trap_14_the_retry_of_a_timed_out_call_runs_again
    }
}

#[tokio::test]
async fn a_long_verification_lets_others_in() {
    end_to_end_cases::jobs::a_long_verification_lets_others_in().await;
}
