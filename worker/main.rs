//! A process for interpreters: it loads libsubpy.so, whose path is its first argument, and does what that says.
//! build.rs compiles this file and puts the program into the library.

#![no_std]
#![no_main]

use core::ffi::{c_char, c_int, c_void};

#[link(name = "c")]
#[link(name = "dl")]
unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
    fn strlen(text: *const c_char) -> usize;
    fn send(socket: c_int, bytes: *const c_void, len: usize, flags: c_int) -> isize;
    fn _exit(code: c_int) -> !;
}

const RTLD_NOW: c_int = 2;
const MSG_NOSIGNAL: c_int = 0x4000;
/// src/process/launch.rs: what the host hears from.
const CONTROL: c_int = 3;

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: argv has argc strings; the function that is looked up is the library's, of this type.
    unsafe {
        if argc < 2 {
            return 2;
        }
        let library = dlopen(*argv.add(1), RTLD_NOW);
        let run = if library.is_null() { library } else { dlsym(library, c"subpy_worker_main".as_ptr()) };
        if run.is_null() {
            // The linker's reason: without the library there is nothing that could wrap it.
            let reason = dlerror();
            send(CONTROL, reason.cast(), strlen(reason), MSG_NOSIGNAL);
            return 1;
        }
        let run: extern "C" fn(c_int, *const *const c_char) -> c_int = core::mem::transmute(run);
        run(argc, argv)
    }
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: it may be called at any time.
    unsafe { _exit(1) }
}
