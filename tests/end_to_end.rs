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
    pub(crate) mod redis;
    pub(crate) mod server;
}

mod end_to_end_cases {
    pub(crate) mod flows;
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
    flows {
        a_checkout_from_enrolment_to_return_keeps_the_books
        a_guest_is_told_what_a_new_member_would_get
        the_ledger_is_read_in_pages_and_its_chain_can_be_recomputed
        a_correction_credits_and_debits_and_takes_no_more_than_there_is
        a_reservation_is_replaced_released_and_overtaken
        a_friend_brings_both_rewards_and_a_return_claws_them_back
        a_quote_of_a_return_tells_what_the_return_does
        what_does_not_exist_is_not_found_by_name
        a_quote_is_what_the_commit_does
    }
}
