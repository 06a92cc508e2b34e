//! Programs of other runtimes that open libsubpy.so: Node (koffi), LuaJIT. What they test is in their own languages, in
//! bindings/node and bindings/lua/tests.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::packages::{self, empty_folder};
use support::{build_folder, built, command, expect_success, have, library_folder, root};

/// What it printed; it has to succeed.
fn printed(command: Command) -> String {
    String::from_utf8_lossy(&expect_success(command).stdout).into_owned()
}

/// Runs it and shows what it printed.
fn run(command: Command) {
    print!("{}", printed(command));
}

#[test]
fn node() {
    if !have("node", "Node", "install Node.js 20 or newer") || !have("npm", "Node", "install npm") {
        return;
    }
    // Makes the package with the library of these tests and uses it as a program would: see there.
    let mut check = command(&root().join("bindings/node/check"));
    check.arg(built().join("libsubpy.so")).arg(build_folder().with_file_name("node"));
    let printed = printed(check);
    packages::show_conformance(&printed);
    print!("{printed}");
}

// ---- Lua

fn luarocks(folder: &Path, args: &[&str]) {
    let mut luarocks = Command::new("luarocks");
    luarocks.current_dir(folder).args(["--lua-version", "5.1"]).args(args);
    expect_success(luarocks);
}

/// The folder with the rocks, and a tree into which one is installed. None when something is missing.
fn rocks() -> Option<(&'static Path, &'static Path)> {
    static ROCKS: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    for tool in ["luajit", "luarocks", "zip", "unzip"] {
        if !have(tool, "Lua", &format!("install the package {tool}")) {
            return None;
        }
    }
    let (rocks, tree) = ROCKS.get_or_init(|| {
        let (rocks, tree) = (packages::pack("lua"), empty_folder("lua-tree"));
        luarocks(&tree, &["install", "--tree", ".", &shown(&rocks.join("subpy-0.1.0-1.all.rock"))]);
        (rocks, tree)
    });
    Some((rocks, tree))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// LuaJIT in a folder, with the modules of a tree and no others.
fn luajit_in(folder: &Path, tree: &Path, args: &[&str]) -> Command {
    let mut luajit = command(Path::new("luajit"));
    luajit.current_dir(folder).args(args);
    luajit.env("LUA_PATH", tree.join("share/lua/5.1/?.lua")).env("LUA_CPATH", tree.join("lib/lua/5.1/?.so"));
    luajit.env("SUBPY_LIBRARY", library_folder().join("libsubpy.so"));
    luajit
}

#[test]
fn lua() {
    let Some((_, tree)) = rocks() else { return };
    for jit in ["-jon", "-joff"] {
        for tests in ["subpy_test.lua", "data_test.lua"] {
            run(luajit_in(&root().join("bindings/lua/tests"), tree, &[jit, tests]));
        }
    }
}

#[test]
fn lua_conformance() {
    let Some((_, tree)) = rocks() else { return };
    let cases = shown(&root().join("conformance/cases.json"));
    let conformance = |jit| luajit_in(&root().join("bindings/lua/tests"), tree, &[jit, "conformance.lua", &cases]);
    expect_success(conformance("-joff"));
    packages::run_conformance(|| conformance("-jon"), printed);
}

#[test]
fn lua_first_program_from_every_rock() {
    let Some((rocks, tree)) = rocks() else { return };
    let (program, printed) = packages::first_program("lua.md", "lua");
    let from_source = empty_folder("lua-from-source");
    luarocks(&from_source, &["install", "--tree", ".", &shown(&rocks.join("subpy-0.1.0-1.src.rock"))]);
    let made = empty_folder("lua-made");
    luarocks(&root().join("bindings/lua"), &["make", "--tree", &shown(&made), "subpy-0.1.0-1.rockspec"]);
    for tree in [tree, &from_source, &made] {
        packages::same_licences(&tree.join("lib/luarocks/rocks-5.1/subpy/0.1.0-1/doc"));
        let folder = empty_folder("lua-empty");
        fs::write(folder.join("first.lua"), &program).expect("a file");
        let output = expect_success(luajit_in(&folder, tree, &["first.lua"]));
        assert_eq!(String::from_utf8_lossy(&output.stdout), printed);
    }
    let folder = empty_folder("lua-packed");
    luarocks(&folder, &["--tree", &shown(&made), "pack", "subpy"]);
    assert!(folder.join("subpy-0.1.0-1.all.rock").is_file());
}

#[test]
fn lua_finds_its_library_or_says_what_is_wrong() {
    let Some((_, tree)) = rocks() else { return };
    let beside = empty_folder("lua-beside");
    fs::create_dir_all(beside.join("share/lua/5.1")).expect("a folder");
    for file in ["subpy.lua", "subpy.cdef"] {
        fs::copy(tree.join("share/lua/5.1").join(file), beside.join("share/lua/5.1").join(file)).expect("a copy");
    }
    let import = |library: Option<&Path>, loader: &Path| {
        let program = "local subpy = require('subpy') subpy.create():exec('print(6 * 7)') subpy.shutdown()";
        let mut luajit = luajit_in(&beside, &beside, &["-e", program]);
        luajit.env("LD_LIBRARY_PATH", loader).env_remove("SUBPY_LIBRARY");
        luajit.envs(library.map(|library| ("SUBPY_LIBRARY", library)));
        luajit
    };
    let broken = packages::says_what_is_wrong("lua", "module", "/share/lua/5.1/libsubpy.so", import);

    let works = |command| assert_eq!(String::from_utf8_lossy(&expect_success(command).stdout), "42\n");
    works(import(None, &library_folder()));
    for folder in ["lib/lua/5.1", "share/lua/5.1"] {
        let library = beside.join(folder).join("libsubpy.so");
        fs::create_dir_all(beside.join(folder)).expect("a folder");
        fs::copy(library_folder().join("libsubpy.so"), &library).expect("a copy");
        works(import(None, &broken));
        fs::remove_file(library).expect("it is there");
    }

    // A tree around the folder that a program is started in is nobody's, neither by one name nor by the other.
    for start in ["a/b/c", "other/share/lua/5.1"] {
        let folder = beside.join(start);
        let planted = folder.join("../../../lib/lua/5.1/libsubpy.so");
        for folder in [&folder, planted.parent().expect("a folder")] {
            fs::create_dir_all(folder).expect("a folder");
        }
        for file in ["subpy.lua", "subpy.cdef"] {
            fs::copy(tree.join("share/lua/5.1").join(file), folder.join(file)).expect("a copy");
        }
        fs::copy(library_folder().join("libsubpy.so"), &planted).expect("a copy");
        let mut elsewhere = import(None, &broken);
        elsewhere.current_dir(&folder).env("LUA_PATH", "./?.lua").env("LUA_CPATH", "/nowhere/?.so");
        let output = elsewhere.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && !said.contains("lib/lua/5.1") && said.contains("\n  ./libsubpy.so: "),
            "{said}"
        );
    }
}
