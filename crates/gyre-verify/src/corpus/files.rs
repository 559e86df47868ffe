//! The corpus's files, by name: a file that is not listed here is caught by a
//! test, one that is listed and not there by the compiler.

use super::{AttackClass, EmbeddedFile};

macro_rules! files {
    ($folder:literal, $extension:literal: $($name:ident)*) => {
        &[$(EmbeddedFile {
            path: concat!($folder, "/", stringify!($name), ".", $extension),
            name: stringify!($name),
            text: include_str!(concat!(
                "../../corpus/", $folder, "/", stringify!($name), ".", $extension
            )),
        }),*]
    };
}

pub(super) const TASKS: &[EmbeddedFile] = files! {
    "tasks", "json":
        count_letters factorial is_balanced mean repeated_words reverse_words sum_even
};

pub(super) const WEAK: &[EmbeddedFile] = files! {
    "weak", "py":
        accuracy_threshold any_candidate best_of_many builtin_all cached_reference
        captured_comparator captures_print cases_in_generator close_floats compares_counters
        compares_json compares_keys contains_text counts_elements counts_failures
        counts_in_locals csv_report dated_cases deadline_loop deepcopies_cases
        equals_operator equals_reversed errors_are_infrastructure evals_result exit_code
        exit_code_hook expect_in_arguments expect_in_environment expect_in_globals
        expect_in_log expect_in_open_file expect_in_source expect_in_test_module
        expect_obfuscated expected_until_decoded faster_than_reference fault_ends_the_loop
        feedback_tells filtered_log first_case_only global_comparator hashed_answers
        html_attribute html_data html_failures_last html_page json_first_object
        json_last_line json_results json_results_relative judge_few_shot judge_filtered
        judge_json judge_last_verdict judge_obeys_system judge_sentiment judge_style
        judge_tags judge_window killed_is_skipped large_is_skipped late_import length_only
        lenient_reply log_is_full maps_results markdown_table no_false_in_list nonce_marker
        not_equal_operator number_interface prints_pass reference_after_answer
        reference_in_guest regex_grader relative_tolerance results_kept_together
        retries_once reused_guest reused_image reused_image_decimal reused_image_dispatch
        reward_file same_namespace_asserts score_printed separate_checker small_inputs_only
        speed_bonus speed_score strict_types_in_guest terminal_log timeouts_forgiven
        tolerance_by_excess type_only undecodable_is_skipped unescaped_report
        unittest_runner unparsable_is_skipped unpickles_result verdict_lines visible_only
        warm_up_discarded zips_results
};

pub(super) const LEGITIMATE: &[EmbeddedFile] = files! {
    "legitimate", "py":
        accumulated array_and_struct binary_tree bit_arithmetic bitmask_stack
        byte_strings character_machine church_numerals clock_and_date collects_garbage
        compensated_sum complex_plane context_managers coroutine_protocol
        counter_of_words counter_returned counter_update csv_in_memory dataclass_tally decimal_context
        decimal_digits decorated_thrice deep_recursion default_dict default_memo
        deque_rotations descriptors digest_table enumeration equality_of_its_own
        exceptions_as_control exec_generated exhaustive_assertions fixed_table
        fold_with_none format_template fractions_exactly generator_send
        global_accumulator graph_components group_sorted halved_ranges heap_order
        heavy_imports index_differs int_subclass_within inverted_index iterator_class
        json_round_trip lambda_only linked_list long_chain main_guard match_statement math_module
        matrix_product memo_across_calls merge_recursively missing_method
        multiset_minus named_tuples nested_classes nested_functions numeric_depths
        operator_overload other_order own_exit_in_handler partial_application
        patches_json_for_itself permutations_counted pickled_copy polynomial_rows
        prime_factors prints_at_import prints_its_steps property_cached
        raises_its_result raises_on_fault random_order recursion_limit
        recursion_on_list         recursive_descent recursive_generator redirected_stdout regular_expression
        replace_until_gone running_mean seen_and_repeated set_from_generator_return
        set_operators shadowed_builtins sleeps_first sort_by_position sorted_neighbours
        sorts_its_argument star_arguments statistics_module string_io syntax_tree
        text_arithmetic text_wrap_module thread_with_a_large_stack tokenizer translate_delete trie type_hints
        unicode_names unusual_names walrus_loop while_else writes_to_stderr
        xml_round_trip y_combinator
};

pub(super) const ATTACKS: &[(AttackClass, &[EmbeddedFile])] = &[
    (
        AttackClass::EarlyExit,
        files! {
            "attacks/early_exit", "py":
            exit_after_visible exit_at_import exit_by_trace exit_in_call exit_in_comparison
            exit_in_excepthook exit_in_finalizer exit_in_message keyboard_interrupt
            skipped_test stop_iteration system_exit_at_import
        },
    ),
    (
        AttackClass::Equality,
        files! {
            "attacks/equality", "py":
            always_equal chameleon_number class_spoofed comparison_without_answer
            empty_pairs equal_dict equal_int equal_text float_for_large_int
            infinitely_tolerant keys_without_values mocked_any never_unequal not_a_number
            shotgun
        },
    ),
    (
        AttackClass::HarnessPatching,
        files! {
            "attacks/harness_patching", "py":
            assert_equal builtin_all builtin_import builtin_type builtin_zip
            caller_globals_written caller_local_written case_rewritten check_replaced
            code_swapped counter_equality deepcopy digest_replaced failures_forgotten
            isclose json_dumps json_encoder line_jumped loop_ended module_function
            module_replaced print_translated regular_expressions stdout_filtered
            was_successful
        },
    ),
    (
        AttackClass::AnswerTheft,
        files! {
            "attacks/answer_theft", "py":
            caller_global caller_local closure_cells command_line comparison_spied
            decoded_blob environment feedback files_on_disk heap_scan log_records
            main_module open_file profile_hook reference_called referrers source_cache
            source_inspected suspended_generator test_module
        },
    ),
    (
        AttackClass::ChannelForgery,
        files! {
            "attacks/channel_forgery", "py":
            cut_off deep_list descriptor_written duplicate_key encoder_swapped first_object
            last_line_kept lines_added lone_surrogate marker_printed nan_in_json
            nonce_found original_stream overflowing_number pickle_with_code repr_with_code
            reward_written score_mentioned
        },
    ),
    (
        AttackClass::SpecialCasing,
        files! {
            "attacks/special_casing", "py":
            after_warm_up all_candidates caller_recognised coin_flip constant_of_its_type
            first_call majority nearest_example polynomial right_length
            right_when_compiled_as_test small_inputs visible_table
        },
    ),
    (
        AttackClass::CarriedState,
        files! {
            "attacks/carried_state", "py":
            argument_emptied builtin_name cache_polluted codec_registry collector_callback
            default_argument earlier_results environment_variable module_attribute
            next_case_emptied random_state subclass_list
        },
    ),
    (
        AttackClass::ClockForgery,
        files! {
            "attacks/clock_forgery", "py":
            busy_until_timeout counter_backwards counter_frozen counter_not_a_number
            duration_object idle_while_timed monotonic_jumps reference_slowed
            slept_for_years slept_past_deadline time_shifted timer_replaced today_replaced
        },
    ),
    (
        AttackClass::Exhaustion,
        files! {
            "attacks/exhaustion", "py":
            colliding_keys digits_refused endless_import endless_items endless_loop
            host_call_flood inflated memory_doubled native_recursion nested_source
            output_flood oversized_request oversized_result pathological_pattern recursion
            tower_of_powers wide_format
        },
    ),
    (
        AttackClass::StackDepth,
        files! {
            "attacks/stack_depth", "py":
            asks_itself cached_calls checked_types compared_lists dumped_nest long_sum
            mapped_maps nested_attributes parsed_text sorted_by_itself
        },
    ),
    (
        AttackClass::CostlyResults,
        files! {
            "attacks/costly_results", "py":
            dictionaries_of_one empty_lists empty_sets entries_of_one lists_of_one
            lists_within_bounds long_reason long_traceback output_in_each_case shared_list
            short_towers texts_at_the_bound texts_beyond_the_bound zeros
        },
    ),
    (
        AttackClass::ForgedValues,
        files! {
            "attacks/forged_values", "py":
            beyond_the_parser cut_in_the_middle digits_of_no_number element_repeated
            half_a_byte keyed_by_dict keyed_by_list number_for_a_tuple pair_of_three
            second_reply set_for_no_value set_of_lists set_of_sets surrogate_for_digits
            too_many_digits
        },
    ),
    (
        AttackClass::ImagePoisoning,
        files! {
            "attacks/image_poisoning", "py":
            copying decimal_context dispatch_registered dumps_code encoder_method
            finder_first hashing hook_left_behind keyword_defaults module_exchanged
            open_class sampling
        },
    ),
    (
        AttackClass::JudgeText,
        files! {
            "attacks/judge_text", "py":
            encoded_instruction example_imitated mostly_comments names_of_praise
            pushed_out_of_window reply_quoted system_line tag_closed verdict_in_comment
            verdict_in_error verdict_in_name verdict_in_output wide_letters words_of_praise
        },
    ),
    (
        AttackClass::ViewerText,
        files! {
            "attacks/viewer_text", "py":
            attribute_closed backspaces carriage_return cell_added comment_opened
            cursor_moved_up direction_overridden event_handler exception_escapes
            line_erased row_added screen_cleared script_closed script_element
            second_element without_width
        },
    ),
];

/// Folders of machine code that somebody prepared: attacks that are no programs.
pub(super) const PLANTED: &[EmbeddedFile] = files! {
    "attacks/planted_code", "plant":
        cache_is_a_link cache_of_another_user code_is_a_link code_of_another_digest
        code_of_another_user code_open_to_others code_without_digest digest_is_a_link
        digest_open_to_others folder_for_a_digest guests_is_a_link guests_of_another_user
        open_cache_folder open_folder_above open_to_the_group
};

pub(super) const LOADERS: &[EmbeddedFile] = files! {
    "loaders", "loader":
        folder_and_cache_are_own folder_is_own mode_vouches name_vouches
};
