use std::cell::Cell;
use std::sync::Arc;

use super::pass::is_handle;
use super::*;
use crate::value::{
    Args, BIGINT, BOOL, BUFFER, BYTES, DICT, ERROR, FLOAT, INT, LIST, MAX_DEPTH, NONE, OBJECT, QUEUE, STR, TUPLE, View,
    check_alone, check_tag, element_size, subpy_pair, tag,
};

/// Numbers that are the same in every run.
pub struct Random(u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

/// A value, and memory for what it points to.
#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Plain(i32, u64),
    Bytes(i32, u32, Vec<u8>),
    Elements(i32, u32, Vec<Tree>),
    Handle(i32, u64),
}

const KEYS: [&str; 4] = ["id", "name", "", "the price of all that was bought"];

fn text(random: &mut Random) -> Vec<u8> {
    let len = random.below(40);
    (0..len).map(|_| ['a', 'Z', '0', '\0', '\u{e9}', '\u{1f40d}'][random.below(6)]).collect::<String>().into_bytes()
}

/// A valid value of any kind, nested up to `depth` deep.
fn tree(random: &mut Random, depth: usize, handles: bool) -> Tree {
    let string = |kind, flags, bytes: &str| Tree::Bytes(kind, flags, bytes.as_bytes().to_vec());
    let int = |number| Tree::Plain(INT, number);
    match random.below(if depth == 0 { 8 } else { 14 }) {
        0 => Tree::Plain(NONE, 0),
        1 => Tree::Plain(BOOL, random.below(2) as u64),
        2 => int(random.below(1 << 30) as u64),
        3 => Tree::Plain(FLOAT, (random.below(1 << 20) as f64 / 8.0).to_bits()),
        4 => Tree::Bytes(STR, 0, text(random)),
        5 => Tree::Bytes(BYTES, 0, (0..random.below(30)).map(|_| random.below(256) as u8).collect()),
        6 => string(BIGINT, 0, ["0x1ff", "-0xFFffFFffFFffFFffFF"][random.below(2)]),
        7 if handles => Tree::Handle([OBJECT, BUFFER, QUEUE, ERROR][random.below(4)], random.below(1000) as u64),
        7 => string(STR, [tag::DATE, tag::DECIMAL, tag::UUID][random.below(3)], "2026-01-01"),
        8 => match random.below(4) {
            0 => Tree::Elements(TUPLE, tag::COMPLEX, vec![Tree::Plain(FLOAT, 0), Tree::Plain(FLOAT, 1)]),
            1 => Tree::Elements(TUPLE, tag::TIMEDELTA, vec![int(1), int(2), int(3)]),
            2 => Tree::Elements(TUPLE, tag::ENUM, vec![string(STR, 0, "m:C"), string(STR, 0, "N"), int(1)]),
            _ => {
                let class = [string(STR, 0, tag::CLASS), string(STR, 0, "m:C")];
                Tree::Elements(DICT, tag::DATACLASS, class.into())
            }
        },
        // Rows of a table.
        9 => {
            let row = |random: &mut Random| {
                let value = |random: &mut Random, key| [string(STR, 0, key), tree(random, 0, false)];
                Tree::Elements(DICT, 0, KEYS.iter().flat_map(|key| value(random, key)).collect())
            };
            Tree::Elements(LIST, 0, (0..random.below(6)).map(|_| row(random)).collect())
        }
        10 => Tree::Elements(LIST, 0, (0..random.below(40)).map(|_| int(random.below(9) as u64)).collect()),
        11 => {
            let pairs = 2 * random.below(24);
            Tree::Elements(DICT, 0, (0..pairs).map(|_| tree(random, depth - 1, handles)).collect())
        }
        kind => {
            let kind = if kind == 12 { TUPLE } else { LIST };
            let flags = [0, [tag::FROZENSET, tag::SET][usize::from(kind == LIST)]][random.below(2)];
            Tree::Elements(kind, flags, (0..random.below(8)).map(|_| tree(random, depth - 1, handles)).collect())
        }
    }
}

/// Memory that values point to.
#[derive(Default)]
struct Memory(Vec<Box<[subpy_value]>>);

impl Memory {
    fn value(&mut self, tree: &Tree) -> subpy_value {
        match tree {
            Tree::Plain(kind, word) => subpy_value { kind: *kind, ..subpy_value::int(*word as i64) },
            Tree::Handle(kind, handle) => subpy_value::handle(*kind, *handle),
            Tree::Bytes(kind, flags, bytes) => {
                // The same keys are the same text.
                let known = KEYS.iter().find(|key| key.as_bytes() == bytes).map_or(bytes.as_ptr(), |key| key.as_ptr());
                subpy_value { flags: *flags, ..subpy_value::pointing(*kind, known, bytes.len()) }
            }
            Tree::Elements(kind, flags, elements) => {
                let values: Box<[subpy_value]> = elements.iter().map(|element| self.value(element)).collect();
                let len = if *kind == DICT { values.len() / 2 } else { values.len() };
                let value = subpy_value::pointing(*kind, values.as_ptr().cast(), len);
                self.0.push(values);
                subpy_value { flags: *flags, ..value }
            }
        }
    }
}

/// # Safety
/// A complete value.
unsafe fn tree_of(value: &subpy_value) -> Tree {
    let flags = value.flags & 0xff;
    // SAFETY: promised by the caller.
    unsafe {
        match value.kind {
            NONE => Tree::Plain(NONE, 0),
            BOOL => Tree::Plain(BOOL, value.as_bool().into()),
            kind if is_handle(kind) => Tree::Handle(kind, value.as_int() as u64),
            kind if element_size(kind) == 1 => Tree::Bytes(kind, flags, value.bytes().to_vec()),
            kind if value.is_container() => {
                Tree::Elements(kind, flags, value.elements().iter().map(|element| tree_of(element)).collect())
            }
            kind => Tree::Plain(kind, value.as_int() as u64),
        }
    }
}

/// Looks at all of a value as one that comes from C is looked at, and at the NULs behind texts.
///
/// # Safety
/// A complete value.
unsafe fn check_all(root: &subpy_value) {
    let mut open = vec![subpy_value { flags: root.flags & 0xff, ..*root }];
    let mut checked = true;
    while let Some(value) = open.pop() {
        if is_handle(value.kind) {
            checked &= matches!(value.kind, OBJECT | QUEUE);
            continue;
        }
        assert_eq!(value.flags & !0xff, 0);
        // SAFETY: promised by the caller.
        unsafe {
            check_alone(&value).unwrap();
            check_tag(&value).unwrap();
            if element_size(value.kind) == 1 {
                assert_eq!(value.pointer().add(value.len).read(), 0);
            } else if value.is_container() {
                open.extend(value.elements());
            }
        }
    }
    if checked {
        // SAFETY: as above; and the buffers and errors of these tests, which point nowhere, are not in it.
        unsafe { Args::check(root, 1, std::ptr::null()).unwrap() };
    }
}

/// Handles become words or values, and what is made of them counts.
struct Hooks {
    made: Arc<()>,
    calls: Cell<usize>,
}

impl Hooks {
    fn new() -> Hooks {
        Hooks { made: Arc::new(()), calls: Cell::new(0) }
    }

    fn describe(&self, value: &subpy_value) -> Result<Sent, NotCopied> {
        self.calls.set(self.calls.get() + 1);
        let handle = value.as_int() as u64;
        if matches!(value.kind, OBJECT | QUEUE) {
            return Ok(Sent::Word(handle + 1));
        }
        let tree = Tree::Elements(TUPLE, 0, vec![Tree::Bytes(STR, 0, b"d".to_vec()), Tree::Plain(INT, handle + 1)]);
        let mut memory = Memory::default();
        Ok(Sent::Value(OwnedValue::copy_of(&memory.value(&tree)).unwrap()))
    }

    fn restore(&self, kind: i32, got: Got, builder: &mut Builder) -> Result<subpy_value, NotCopied> {
        builder.attach(Box::new(Arc::clone(&self.made))).ok_or(NotCopied::NoMemory)?;
        let word = match got {
            Got::Word(word) => word,
            Got::Value(of) => match of.element(1).map(ValueRef::view) {
                Some(View::Int(word)) => word as u64,
                _ => return Err(NotCopied::NotFound(0, "what was described")),
            },
        };
        Ok(subpy_value::handle(kind, word.wrapping_sub(1)))
    }
}

fn written(write: impl FnOnce(&mut Writer<Vec<u64>>) -> Result<(), NotCopied>) -> Vec<u8> {
    let mut sink = Vec::new();
    let mut writer = Writer::new(&mut sink);
    write(&mut writer).unwrap();
    let len = writer.finish();
    assert!(len.is_multiple_of(8));
    sink.iter().flat_map(|word| word.to_ne_bytes()).take(len).collect()
}

fn message(value: &subpy_value, hooks: &Hooks) -> Vec<u8> {
    // SAFETY: the tests' values are what they say.
    written(|writer| unsafe { writer.value(value, &mut |value| hooks.describe(value)) })
}

fn read(message: &[u8], hooks: &Hooks) -> Result<OwnedValue, NotRead> {
    let mut reader = Reader::new(message);
    let value = reader.value(&mut |kind, got, builder| hooks.restore(kind, got, builder))?;
    reader.end().map(|()| value)
}

/// What is read of it, and why not.
fn refusal(message: &[u8]) -> String {
    read(message, &Hooks::new()).err().map(|why| why.to_string()).unwrap_or_default()
}

#[test]
fn any_value_comes_back_as_it_was() {
    let (mut random, hooks) = (Random(1), Hooks::new());
    for round in 0..3000 {
        let tree = tree(&mut random, round % 6, round % 2 == 0);
        let mut memory = Memory::default();
        let value = memory.value(&tree);
        let bytes = message(&value, &hooks);
        let back = read(&bytes, &hooks).unwrap();
        // SAFETY: it was read.
        unsafe {
            check_all(back.as_value());
            assert_eq!(tree_of(back.as_value()), tree);
        }
        // As a block that is copied, too; and it is the same message.
        let block = written(|writer| writer.block(&back, &mut |value| hooks.describe(value)));
        assert_eq!(block, bytes);
        // SAFETY: the root of a result.
        let size = unsafe { back.as_value().block() }.map_or(0, <[u8]>::len);
        assert!(size <= bytes.len(), "no more memory than the message has");
    }
    assert!(hooks.calls.get() > 500);
    assert_eq!(Arc::strong_count(&hooks.made), 1, "what was attached is dropped");
}

#[test]
fn a_block_in_another_order_is_written_all_the_same() {
    let (mut random, hooks) = (Random(2), Hooks::new());
    for _ in 0..1000 {
        let tree = tree(&mut random, 4, false);
        let mut memory = Memory::default();
        let copy = OwnedValue::copy_of(&memory.value(&tree)).unwrap();
        let bytes = written(|writer| writer.block(&copy, &mut |value| hooks.describe(value)));
        let back = read(&bytes, &hooks).unwrap();
        // SAFETY: it was read.
        assert_eq!(unsafe { tree_of(back.as_value()) }, tree);
    }
    assert_eq!(hooks.calls.get(), 0);
}

/// As one that is made of Python objects: rows with the same keys, whose texts are there once, and gaps.
fn table(rows: usize, gap: usize) -> OwnedValue {
    let mut block = Builder::new();
    let list = block.array(rows).unwrap();
    let mut keys = [0; 2];
    for row in 0..rows {
        let dict = block.array(4).unwrap();
        block.write(list + row * VALUE, subpy_value::at_offset(DICT, dict, 2));
        for (entry, key) in keys.iter_mut().enumerate() {
            if row == 0 {
                *key = block.append(b"key", false).unwrap();
                block.append(&vec![1; gap], false).unwrap();
            }
            block.write(dict + 2 * entry * VALUE, subpy_value::at_offset(STR, *key, 3));
            block.write(dict + (2 * entry + 1) * VALUE, subpy_value::int(row as i64));
        }
    }
    block.finish(subpy_value::at_offset(LIST, list, rows)).unwrap()
}

#[test]
fn a_block_is_copied_as_it_is() {
    let hooks = Hooks::new();
    let table = table(50, 1000);
    let copied = written(|writer| writer.block(&table, &mut none_to_send));
    let walked = written(|writer| writer.owned(&table, &mut none_to_send));
    // SAFETY: the root of a block.
    let size = unsafe { table.as_value().block() }.unwrap().len();
    assert_eq!(copied.len(), VALUE + size.next_multiple_of(8));
    assert!(walked.len() < copied.len() - 1000, "without the gaps");
    // The texts of the keys are there once.
    assert_eq!(walked.windows(3).filter(|text| text == b"key").count(), 2);
    for bytes in [copied, walked] {
        let back = read(&bytes, &hooks).unwrap();
        // SAFETY: both are complete.
        unsafe { assert_eq!(tree_of(back.as_value()), tree_of(table.as_value())) };
    }
}

/// A copy has a text for each of them, and is not to be much larger than what came.
#[test]
fn long_keys_are_not_shared() {
    let message = |len: usize| {
        let key = "k".repeat(len);
        let pair = [subpy_value::pointing(STR, key.as_ptr(), len), subpy_value::int(1)];
        let rows = [subpy_value::pointing(DICT, pair.as_ptr().cast(), 1); 2];
        let list = subpy_value::pointing(LIST, rows.as_ptr().cast(), 2);
        // SAFETY: a complete value.
        written(|writer| unsafe { writer.value(&list, &mut none_to_send) })
    };
    assert!(message(LONGEST_SHARED).len() < 2 * LONGEST_SHARED);
    let mut bytes = message(LONGEST_SHARED + 1);
    assert!(bytes.len() > 2 * LONGEST_SHARED);
    assert!(read(&bytes, &Hooks::new()).is_ok());
    // Where the texts of the two keys lie, behind kind, flags and length.
    let head = [&STR.to_ne_bytes()[..], &[0; 4], &(LONGEST_SHARED + 1).to_ne_bytes()].concat();
    let keys: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&head)).collect();
    assert_eq!(keys.len(), 2);
    bytes.copy_within(keys[0] + 16..keys[0] + 24, keys[1] + 16);
    assert!(matches!(read(&bytes, &Hooks::new()), Err(NotRead::Damaged(_))));
}

#[test]
fn values_follow_each_other() {
    let items = [subpy_value::int(7), subpy_value::bool(true)];
    let name = subpy_pair { key: subpy_value::pointing(STR, b"n".as_ptr(), 1), value: subpy_value::none() };
    let args = Args { items: &items, kwargs: &[name], buffers: crate::value::Buffers::None };
    let bytes = written(|writer| {
        writer.args(Args { kwargs: &[], ..args }, &mut none_to_send)?;
        writer.text("h\u{e9}")?;
        writer.optional_text(None)?;
        writer.args(args, &mut none_to_send)
    });
    let mut reader = Reader::new(bytes.as_slice());
    let mut few = [subpy_value::none(); 8];
    let few = reader.few(&mut few).unwrap();
    assert!(few.len() == 2 && few[0].as_int() == 7 && few[1].as_bool());
    let mut next = || {
        let value = reader.value(&mut none_to_get).unwrap();
        // SAFETY: it was read.
        unsafe { tree_of(value.as_value()) }
    };
    assert_eq!(next(), Tree::Bytes(STR, 0, "h\u{e9}".into()));
    assert_eq!(next(), Tree::Plain(NONE, 0));
    assert_eq!(next(), Tree::Elements(TUPLE, 0, vec![Tree::Plain(INT, 7), Tree::Plain(BOOL, 1)]));
    let kwargs = vec![Tree::Bytes(STR, 0, b"n".to_vec()), Tree::Plain(NONE, 0)];
    assert_eq!(next(), Tree::Elements(DICT, 0, kwargs));
    reader.end().unwrap();
}

#[test]
fn a_few_plain_arguments_are_short() {
    let all: Vec<subpy_value> =
        [subpy_value::none(), subpy_value::bool(true), subpy_value::int(-7), subpy_value::float(0.5)]
            .into_iter()
            .cycle()
            .take(FEW + 1)
            .collect();
    let write = |items| {
        written(|writer| {
            writer.args(Args { items, kwargs: &[], buffers: crate::value::Buffers::None }, &mut none_to_send)
        })
    };
    let mut into = [subpy_value::none(); FEW];
    for count in 0..=FEW {
        let bytes = write(&all[..count]);
        assert_eq!(bytes.len(), 8 + 8 * count);
        let mut reader = Reader::new(bytes.as_slice());
        let few = reader.few(&mut into).unwrap();
        let same =
            |(one, other): (&subpy_value, &subpy_value)| one.head() == other.head() && one.as_int() == other.as_int();
        assert!(few.len() == count && few.iter().zip(&all).all(same), "{count}");
        reader.end().unwrap();
        // Cut off, of another kind, or more than there can be.
        assert!((0..bytes.len()).step_by(8).all(|len| Reader::new(&bytes[..len]).few(&mut into).is_none()));
        for wrong in [(0, 3), (4, 9), (5, 1), (7, 0)] {
            let mut bytes = [bytes.clone(), vec![0; 80]].concat();
            if wrong.0 > 0 || count > 0 {
                bytes[wrong.0] = wrong.1;
                let mut reader = Reader::new(bytes.as_slice());
                assert!(reader.few(&mut into).is_none(), "{wrong:?}");
                // It is still the next, and is no value either, unless it is a None.
                assert!(reader.value(&mut none_to_get).is_err() || wrong.0 == 7, "{wrong:?}");
            }
        }
    }
    assert!(Reader::new(write(&all).as_slice()).few(&mut into).is_none());
    let text = [subpy_value::pointing(STR, b"n".as_ptr(), 1)];
    assert!(Reader::new(write(&text).as_slice()).few(&mut into).is_none());
}

/// What a caller has left where nobody reads stays here.
#[test]
fn only_what_is_meant_is_sent() {
    let left = subpy_value { len: 0xdead, ..subpy_value::int(-1) };
    let items = [subpy_value { kind: NONE, ..left }, subpy_value { kind: BOOL, ..left }];
    let list = subpy_value::pointing(LIST, items.as_ptr().cast(), 2);
    let clean = [subpy_value::none(), subpy_value::bool(true)];
    let same = subpy_value::pointing(LIST, clean.as_ptr().cast(), 2);
    let hooks = Hooks::new();
    assert_eq!(message(&list, &hooks), message(&same, &hooks));
    for (left, clean) in items.iter().zip(&clean) {
        assert_eq!(message(left, &hooks), message(clean, &hooks));
    }
}

#[test]
fn depth_1000_is_the_limit() {
    let nested = |depth: usize, inmost: Tree| {
        let mut memory = Memory::default();
        let mut value = memory.value(&inmost);
        for _ in 0..depth {
            memory.0.push(Box::new([value]));
            value = subpy_value::pointing(LIST, memory.0.last().unwrap().as_ptr().cast(), 1);
        }
        message(&value, &Hooks::new())
    };
    assert_eq!(refusal(&nested(MAX_DEPTH, Tree::Plain(INT, 1))), "");
    assert!(refusal(&nested(MAX_DEPTH + 1, Tree::Plain(INT, 1))).contains("1000 levels"));
    // What has values does not count.
    let arguments = nested(MAX_DEPTH + 1, Tree::Plain(INT, 1));
    assert!(Reader::new(arguments.as_slice()).values(&mut none_to_get).is_ok());
    let deeper = nested(MAX_DEPTH + 2, Tree::Plain(INT, 1));
    assert!(Reader::new(deeper.as_slice()).values(&mut none_to_get).is_err());
    // What an error is made of does not count.
    assert_eq!(refusal(&nested(MAX_DEPTH, Tree::Handle(ERROR, 1))), "");
}

/// A message of one LIST with these elements and bytes behind them.
fn list_of(elements: &[subpy_value], behind: &[u8]) -> Vec<u8> {
    let size = size_of_val(elements) + behind.len();
    let root = subpy_value { kind: LIST, len: elements.len(), ..subpy_value::int(size as i64) };
    let mut bytes = Vec::new();
    for value in std::iter::once(&root).chain(elements) {
        // SAFETY: a value without padding.
        bytes.extend_from_slice(unsafe { &*std::ptr::from_ref(value).cast::<[u8; VALUE]>() });
    }
    bytes.extend_from_slice(behind);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

#[test]
fn what_is_not_what_it_says_is_refused() {
    let at = subpy_value::at_offset;
    let pair = 2 * VALUE;
    let good = list_of(&[at(STR, pair, 2), at(STR, pair + 3, 1)], b"ab\0cX");
    assert_eq!(refusal(&good), "");
    // The NUL is put there.
    // SAFETY: it was read.
    unsafe { check_all(read(&good, &Hooks::new()).unwrap().as_value()) };
    let place = "where they belong";
    for (elements, behind, why) in [
        // Itself, its own elements, the same twice, one inside the other, one over the end.
        ([at(LIST, 0, 2), subpy_value::none()], &b""[..], place),
        ([at(LIST, VALUE, 1), subpy_value::int(1)], b"", place),
        ([at(LIST, pair, 1), at(LIST, pair, 1)], &[0; 24], place),
        ([at(STR, pair, 2), at(STR, pair, 2)], b"ab\0", place),
        ([at(STR, pair, 4), at(STR, pair + 1, 1)], b"abcd\0", place),
        ([at(STR, pair, 2), subpy_value::none()], b"ab", place),
        ([at(BYTES, 0, 4), subpy_value::none()], b"", place),
        ([at(STR, pair, usize::MAX), subpy_value::none()], b"ab", place),
        ([at(STR, usize::MAX, 2), subpy_value::none()], b"ab", place),
        ([at(LIST, pair, usize::MAX / 24 + 1), subpy_value::none()], &[0; 24], place),
        ([at(DICT, pair, usize::MAX / 2), subpy_value::none()], &[0; 24], place),
        ([at(LIST, pair + 1, 1), subpy_value::none()], &[0; 32], place),
        ([at(STR, pair, 1), subpy_value::none()], b"\xff\0", "UTF-8"),
        ([at(BIGINT, pair, 1), subpy_value::none()], b"1\0", "hexadecimal"),
        ([subpy_value { flags: 0x100, ..at(STR, pair, 1) }, subpy_value::none()], b"a\0", "unknown bits"),
        ([subpy_value { flags: 0x5355_0000, ..at(STR, pair, 1) }, subpy_value::none()], b"a\0", "unknown bits"),
        ([subpy_value { flags: 0x100, ..at(BUFFER, pair, 1) }, subpy_value::none()], &[0; 24], "unknown bits"),
        ([subpy_value { flags: 1, ..subpy_value::int(1) }, subpy_value::none()], b"", "SUBPY_TAG_SET"),
        ([subpy_value { flags: 77, ..at(STR, pair, 1) }, subpy_value::none()], b"a\0", "tag 77"),
        ([subpy_value { flags: 10, ..at(TUPLE, pair, 0) }, subpy_value::none()], b"", "SUBPY_TAG_ENUM"),
        ([subpy_value { kind: 14, ..subpy_value::none() }, subpy_value::none()], b"", "kind 14"),
        ([subpy_value { kind: -1, ..subpy_value::none() }, subpy_value::none()], b"", "kind -1"),
        ([subpy_value { flags: 1, ..at(OBJECT, 0, 0) }, subpy_value::none()], b"", "a handle"),
        ([at(ERROR, pair, 2), subpy_value::none()], &[0; 48], "a handle"),
        ([at(ERROR, pair, 1), subpy_value::none()], b"", "a handle"),
        ([at(ERROR, pair, 1), subpy_value::none()], &[0; 24], "handle of what was described"),
    ] {
        let said = refusal(&list_of(&elements, behind));
        assert!(said.contains(why), "{said:?} has no {why:?}");
    }
    // A handle in what describes one.
    let inner = at(BUFFER, pair, 1);
    let mut inside = list_of(&[at(ERROR, pair, 1), subpy_value::none()], &[0; 24]);
    let end = inside.len() - VALUE;
    // SAFETY: a value without padding.
    inside[end..].copy_from_slice(unsafe { &*(&raw const inner).cast::<[u8; VALUE]>() });
    assert!(refusal(&inside).contains("where none can be"));
    for end in 0..good.len() {
        assert!(refusal(&good[..end]).contains("ends within"), "{end}");
    }
    let longer = [good.as_slice(), &[0; 8]].concat();
    assert!(refusal(&longer).contains("goes on"));
}

/// A page, and one that nobody can read behind it.
struct Page(*mut u8);

const PAGE: usize = 4096;

impl Page {
    fn new() -> Page {
        // SAFETY: new memory, of which the second page is taken away.
        unsafe {
            let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let start = libc::mmap(std::ptr::null_mut(), 2 * PAGE, access, flags, -1, 0);
            assert_ne!(start, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(start.byte_add(PAGE), PAGE, libc::PROT_NONE), 0);
            Page(start.cast())
        }
    }

    /// The bytes, which end where the page does.
    fn with(&self, bytes: &[u8]) -> Source<'_> {
        // SAFETY: they fit.
        unsafe {
            let start = self.0.add(PAGE - bytes.len());
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
            Source::shared(start, bytes.len())
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: both pages.
        unsafe { libc::munmap(self.0.cast(), 2 * PAGE) };
    }
}

/// What is read from anything at all is complete, and no larger than that. Whether there was something.
fn read_anything(page: &Page, bytes: &[u8], hooks: &Hooks) -> bool {
    let mut reader = Reader::new(page.with(bytes));
    let mut some = false;
    let mut few = [subpy_value::none(); 8];
    Reader::new(page.with(bytes)).few(&mut few);
    while let Ok(value) = reader.value(&mut |kind, got, builder| hooks.restore(kind, got, builder)) {
        // SAFETY: it was read.
        unsafe {
            check_all(value.as_value());
            assert!(value.as_value().block().is_none_or(|block| block.len() <= bytes.len() + 1));
        }
        some = true;
    }
    some
}

#[test]
fn nothing_that_comes_from_the_other_side_does_harm() {
    let (page, hooks, mut random) = (Page::new(), Hooks::new(), Random(3));
    let (mut accepted, mut refused) = (0, 0);
    let rounds = std::env::var("SUBPY_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(200_000);
    let mut good = Vec::new();
    for round in 0..rounds {
        if round % 50 == 0 {
            let mut memory = Memory::default();
            good = loop {
                let tree = tree(&mut random, 1 + round % 5, true);
                let bytes = message(&memory.value(&tree), &hooks);
                if (VALUE..PAGE).contains(&bytes.len()) {
                    break bytes;
                }
            };
        }
        let mut bytes = good.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            let word = at / 8 * 8;
            let other = random.below(bytes.len() / 8) * 8;
            match random.below(6) {
                0 => bytes[at] = random.below(256) as u8,
                1 => bytes[at] ^= 1 << random.below(8),
                // A kind, a length or an offset that might be.
                2 => bytes[word..word + 8].copy_from_slice(&(random.below(64) as u64).to_ne_bytes()),
                3 => bytes[word..word + 8].copy_from_slice(&(random.below(good.len()) as u64 / 8 * 8).to_ne_bytes()),
                4 => bytes.copy_within(other..other + 8, word),
                _ => bytes.truncate(word.max(8)),
            }
        }
        match read_anything(&page, &bytes, &hooks) {
            true => accepted += 1,
            false => refused += 1,
        }
        let noise: Vec<u8> =
            (0..random.below(200)).map(|_| random.below(if round % 2 == 0 { 16 } else { 256 }) as u8).collect();
        read_anything(&page, &noise, &hooks);
    }
    assert!(accepted > rounds / 20 && refused > rounds / 20, "{accepted} were accepted, {refused} refused");
    assert_eq!(Arc::strong_count(&hooks.made), 1);
}

/// Another process may write to what is being read.
#[test]
fn what_changes_meanwhile_does_no_harm() {
    use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
    let hooks = Hooks::new();
    let good = message(table(20, 0).as_value(), &hooks);
    let shared: Vec<AtomicU8> = good.iter().map(|byte| AtomicU8::new(*byte)).collect();
    let (done, mut accepted, mut refused) = (AtomicBool::new(false), 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(4);
            while !done.load(Ordering::Relaxed) {
                let at = random.below(shared.len());
                shared[at].store(random.below(256) as u8, Ordering::Relaxed);
                shared[at].store(good[at], Ordering::Relaxed);
            }
        });
        for _ in 0..1_000_000 {
            // SAFETY: there are so many bytes, and they stay there.
            let source = unsafe { Source::shared(shared.as_ptr().cast(), shared.len()) };
            let value = Reader::new(source).value(&mut |kind, got, builder| hooks.restore(kind, got, builder));
            match value {
                Ok(value) => {
                    // SAFETY: it was read.
                    unsafe { check_all(value.as_value()) };
                    accepted += 1;
                }
                Err(_) => refused += 1,
            }
            if accepted > 20_000 && refused > 100 {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(accepted > 0 && refused > 0, "{accepted} were accepted, {refused} refused");
}

/// The order that blocks must be in to be copied is the one that they are made in.
#[test]
fn results_of_python_are_copied_as_they_are() {
    use crate::manager::{Code, Options, create, run};
    let mut options = Options::default();
    options.config.tagged_values = true;
    let interps = [create(&Options::default()).unwrap(), create(&options).unwrap()];
    for expression in [
        "[1, 2.5, None, True, 2**70, 'text', b'bytes', (), [], {}, '']",
        "[{'id': i, 'name': str(i), 'of': {'x': [i], 'y': (i, 'z')}} for i in range(100)]",
        "{i: str(i) for i in range(1000)}",
        "[[{'a': 1, 'b': [{'a': 2, 'c': {}}]}, 'x' * i] for i in range(50)]",
        "{'a': {'a': {'a': {1: (2, [3, {'b': 'c'}])}}}, 'd': {'a': 1}}",
        "[__import__('datetime').date(2026, 1, 1), {1, 2}, 1j, {'k': __import__('decimal').Decimal('1.5')}, {'k': 1}]",
    ] {
        let mut result = OwnedValue::none();
        let interp = interps[usize::from(expression.contains("datetime"))];
        run(interp, Code::Eval { expression, filename: None }, Some(&mut result)).unwrap();
        let bytes = written(|writer| writer.block(&result, &mut none_to_send));
        // SAFETY: the root of a block, and values that were made or read.
        unsafe {
            assert_eq!(
                bytes.len(),
                VALUE + result.as_value().block().unwrap().len().next_multiple_of(8),
                "{expression}"
            );
            let mut sink = Vec::new();
            let mut writer = Writer::new(&mut sink);
            assert!(writer.copied(&result).unwrap(), "{expression}");
            assert_eq!(tree_of(read(&bytes, &Hooks::new()).unwrap().as_value()), tree_of(result.as_value()));
        }
    }
}

/// For the figures: `cargo test --release --lib wire -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn the_cost_beside_a_copy() {
    use std::hint::black_box;
    use std::time::Instant;
    let int = |number: usize| Tree::Plain(INT, number as u64);
    let text = |text: String| Tree::Bytes(STR, 0, text.into_bytes());
    let pairs = (0..1000).flat_map(|at| [text(format!("key number {at}")), int(at)]).collect();
    let cases = [
        ("two ints", Tree::Elements(TUPLE, 0, vec![int(1), int(2)])),
        ("str of 1 KiB", text("x".repeat(1024))),
        ("bytes of 1 MB", Tree::Bytes(BYTES, 0, vec![7; 1_000_000])),
        ("list of 1,000 ints", Tree::Elements(LIST, 0, (0..1000).map(int).collect())),
        ("dict of 1,000", Tree::Elements(DICT, 0, pairs)),
    ];
    println!(
        "{:20} {:>8} {:>9} {:>14} {:>14} {:>14}",
        "", "bytes", "copy ns", "walk and read", "block and read", "in few"
    );
    for (name, tree) in cases {
        let (mut memory, hooks) = (Memory::default(), Hooks::new());
        let value = memory.value(&tree);
        let owned = read(&message(&value, &hooks), &hooks).unwrap();
        let (mut sink, size) = (Vec::new(), message(&value, &hooks).len());
        written_to(&mut sink, 1, &value, &owned);
        let mut target = vec![0u8; size];
        let mut rounds = [const { Vec::new() }; 4];
        let times = (20_000_000 / (size + 500)).clamp(20, 20_000);
        for _ in 0..41 {
            for (way, rounds) in rounds.iter_mut().enumerate() {
                let begin = Instant::now();
                for _ in 0..times {
                    if way == 0 {
                        // SAFETY: so many bytes are in both.
                        unsafe { std::ptr::copy_nonoverlapping(sink.as_ptr().cast(), target.as_mut_ptr(), size) };
                        black_box(&mut target);
                        continue;
                    }
                    written_to(&mut sink, way, &value, &owned);
                    // SAFETY: the message was written there.
                    let source = unsafe { Source::shared(sink.as_ptr().cast(), size) };
                    let mut few = [subpy_value::none(); 8];
                    match Reader::new(source).few(&mut few).filter(|_| way == 3) {
                        Some(few) => drop(black_box(few.len())),
                        None => drop(black_box(Reader::new(source).value(&mut none_to_get).unwrap())),
                    }
                }
                rounds.push(begin.elapsed().as_nanos() as f64 / times as f64);
            }
        }
        let [copy, walk, block, few] = rounds.map(|mut rounds| {
            rounds.sort_by(f64::total_cmp);
            rounds[rounds.len() / 2]
        });
        let shown = |time: f64| format!("{time:.0} ({:.2}x)", time / copy);
        println!("{name:20} {size:8} {copy:9.1} {:>14} {:>14} {:>14}", shown(walk), shown(block), shown(few));
        // SAFETY: it was read.
        assert_eq!(unsafe { tree_of(owned.as_value()) }, tree);
    }
}

/// Writes a message into memory that is there already.
fn written_to(sink: &mut Vec<u64>, way: usize, value: &subpy_value, owned: &OwnedValue) {
    let mut writer = Writer::new(sink);
    match way {
        2 => writer.block(owned, &mut none_to_send).unwrap(),
        3 if value.kind == TUPLE => {
            // SAFETY: as below.
            let items = unsafe { value.items() };
            writer.args(Args { items, kwargs: &[], buffers: crate::value::Buffers::None }, &mut none_to_send).unwrap();
        }
        // SAFETY: the tests' values are what they say.
        _ => unsafe { writer.value(value, &mut none_to_send).unwrap() },
    }
}
