//! What every store does.

pub(crate) mod claims;
pub(crate) mod endings;
pub(crate) mod leases;
pub(crate) mod listings;
pub(crate) mod submission;

/// The tests of the suite, for a function that makes an empty store, with what keeps it alive.
macro_rules! conformance {
    ($($module:ident: $($test:ident),+;)+) => {
        /// Makes the suite's tests for a store.
        macro_rules! conforms {
            ($empty:expr) => {
                $($(
                    #[test]
                    fn $test() {
                        let Some(store) = $empty else { return };
                        $crate::conformance::$module::$test(&*store.store);
                    }
                )+)+
            };
        }
        pub(crate) use conforms;
    };
}

conformance! {
    submission: the_same_job_again_is_the_same_job, another_payload_under_the_same_key_is_refused,
        what_is_submitted_is_what_is_claimed;
    claims: claims_go_by_capability, priority_then_loaded_then_deadline_then_age, several_jobs_of_one_model_in_one_claim,
        every_job_is_claimed_once_by_racing_workers, hidden_tensors_make_another_model;
    leases: a_heartbeat_keeps_a_lease, a_lease_that_expired_costs_no_attempt, a_slow_worker_is_told_that_it_is_late,
        a_slow_worker_is_heard_while_nobody_else_has_the_job, a_worker_that_always_vanishes_poisons_its_job,
        a_released_job_is_queued_without_an_attempt, a_heartbeat_names_the_leases_that_are_lost;
    endings: a_result_is_recorded_once, racing_completions_record_one, some_of_several_results_are_late,
        a_deterministic_failure_is_final, the_third_attempt_poisons, failed_jobs_can_be_retried,
        cancelled_jobs_are_not_claimed_and_their_workers_told, a_store_that_is_asked_again_remembers;
    listings: listings_filter_and_go_page_by_page, stats_count, results_can_be_found;
}
