//! The C tests: each file in tests/c is a program of its own, built against the header and run in its own process.

mod support;

use support::{build, command, expect_success, root};

fn run(name: &str, in_processes: bool) {
    let program = build(&root().join("tests/c").join(format!("{name}.c")));
    let mut command = command(&program);
    if in_processes {
        command.env("SUBPY_TEST_PROCESS", "1");
    }
    // The sanitizer's runtime, for the processes that the program starts: what they begin with does not have it.
    if let Some(runtime) = std::env::var_os("SUBPY_TEST_PRELOAD") {
        command.env("LD_PRELOAD", runtime);
    }
    expect_success(command);
    std::fs::remove_file(program).expect("the program can be removed");
}

macro_rules! c_tests {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name), false);
            }
        )*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

c_tests! {
    arenas
    arrays
    basics
    block
    buffers
    buffers_out
    busy
    cancel
    close
    close_itself
    close_with
    codecs
    dedent
    environment
    eval_call
    exceptions
    exec
    foreign
    foreign_stack
    fork
    functions
    host_cancelled
    host_context
    host_finalize
    host_finalizes
    host_functions
    host_nested
    host_stack
    host_threads
    import_locks
    interpreters
    interrupt
    large_tls
    late_hits
    leak
    left_threads
    lifecycle
    limits
    main
    many
    many_threads
    memory
    memory_limit
    misuse
    nested
    no_memory
    objects
    output
    pool
    pool_close
    pool_isolation
    pool_limits
    pool_map
    pool_outcomes
    pool_process
    pool_soak
    process
    process_buffers
    process_files
    process_hostile
    process_lies
    process_lock
    process_nested
    process_options
    process_queue_stress
    process_queues
    process_runs
    process_signals
    queue_stress
    queues
    queues_cpython
    race_async
    race_buffers
    race_cancel
    race_close_shutdown
    race_close_with
    race_define
    race_find_create
    race_guests
    race_host_exit
    race_memory
    race_objects
    race_output
    race_pool
    race_pool_process
    race_process
    race_queues
    race_refused_shutdown
    race_run_close
    race_shutdown_with
    race_thread_start
    race_two_shutdowns
    race_wait
    races
    request
    rules
    run_async
    run_output
    scale
    sessions
    set_output
    shutdown_with
    signals
    small_stack
    sources
    state_blocks
    stress
    syntax
    tagged
    thread_end
    threads
    values_exact
    values_keys
    values_large
    values_refused
    values_text
    venv
    with_locks
}

macro_rules! in_processes {
    ($($name:ident)*) => {
        mod in_processes {
            $(
                #[test]
                fn $name() {
                    super::run(stringify!($name), true);
                }
            )*
        }
    };
}

// These run a second time, with interpreters in processes of their own: what operations and values do is the same, or
// the program says what is not. Left out are those that
// - are about processes already: process*, pool_process, race_process, race_pool_process;
// - are about this process, its CPython and its threads: arenas, environment, foreign*, fork, host_finalizes, interpreters, leak,
//   left_threads, lifecycle, main, nested, no_memory, signals, small_stack, state_blocks, thread_end;
// - share memory that is not made for it, or count Python's own: buffers*, memory*, for which there are process_buffers
//   and process;
// - race, or use pools: race*, close_itself, pool*, for which there are those with process in their names;
// - have both kinds anyway: scale, stress.
in_processes! {
    arrays
    basics
    block
    busy
    cancel
    close
    close_with
    codecs
    dedent
    eval_call
    exceptions
    exec
    functions
    host_cancelled
    host_context
    host_finalize
    host_functions
    host_nested
    host_stack
    host_threads
    interrupt
    late_hits
    limits
    many
    many_threads
    objects
    output
    queues
    request
    rules
    run_async
    run_output
    sessions
    set_output
    shutdown_with
    sources
    syntax
    tagged
    threads
    values_exact
    values_keys
    values_large
    values_refused
    values_text
    with_locks
}

#[test]
fn every_c_file_is_a_test() {
    let mut files: Vec<String> = std::fs::read_dir(root().join("tests/c"))
        .expect("tests/c")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, NAMES, "tests/c.rs lists every file in tests/c");
}
