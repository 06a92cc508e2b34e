//! The crate's feature serde: structs and enums as arguments and results.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use subpy::{Interpreter, Kind, RuntimeOptions, Serde, Value, from_value, to_value};

fn create() -> Interpreter {
    subpy::init(&RuntimeOptions::new().python(support::python())).expect("CPython starts");
    Interpreter::create().expect("an interpreter")
}

/// What the crate serde_bytes does.
mod bytes {
    use serde::de::{Deserializer, Error, Visitor};

    pub fn serialize<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("bytes")
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }

        from.deserialize_byte_buf(Bytes)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Meters(f64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair(i8, String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Item {
    name: String,
    count: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle(f64),
    Line(i32, i32),
    Box { width: u32, items: Vec<Item> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    unit: (),
    nothing: Unit,
    truth: bool,
    letter: char,
    small: i8,
    large: u64,
    huge: i128,
    beyond: u128,
    single: f32,
    double: f64,
    some: Option<Meters>,
    none: Option<Meters>,
    pair: Pair,
    array: [u16; 2],
    list: Vec<Item>,
    keys: BTreeMap<(i32, char), Shape>,
    shapes: Vec<Shape>,
    #[serde(with = "bytes")]
    data: Vec<u8>,
    #[serde(rename = "class")]
    kind: String,
}

fn everything() -> Everything {
    let item = Item { name: "h\u{e9}".into(), count: 255 };
    Everything {
        unit: (),
        nothing: Unit,
        truth: true,
        letter: '\u{1f40d}',
        small: -1,
        large: u64::MAX,
        huge: i128::MIN,
        beyond: u128::MAX,
        single: 0.1,
        double: -0.0,
        some: Some(Meters(1.5)),
        none: None,
        pair: Pair(-128, String::new()),
        array: [1, 2],
        list: vec![item.clone()],
        keys: BTreeMap::from([((1, 'a'), Shape::Empty)]),
        shapes: vec![Shape::Circle(0.5), Shape::Line(1, 2), Shape::Box { width: 3, items: vec![item] }],
        data: vec![0, 255],
        kind: "class".into(),
    }
}

fn dict<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Dict(pairs.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

#[test]
fn what_goes_in_comes_out() {
    let value = to_value(&everything()).unwrap();
    let item = || dict([("name", "h\u{e9}".into()), ("count", 255.into())]);
    let expected = dict([
        ("unit", Value::None),
        ("nothing", Value::None),
        ("truth", true.into()),
        ("letter", "\u{1f40d}".into()),
        ("small", (-1).into()),
        ("large", Value::BigInt("0xffffffffffffffff".into())),
        ("huge", Value::BigInt("-0x80000000000000000000000000000000".into())),
        ("beyond", Value::BigInt("0xffffffffffffffffffffffffffffffff".into())),
        ("single", f64::from(0.1f32).into()),
        ("double", (-0.0).into()),
        ("some", 1.5.into()),
        ("none", Value::None),
        ("pair", (-128, "").into()),
        ("array", (1, 2).into()),
        ("list", vec![item()].into()),
        ("keys", Value::Dict(vec![((1, "a").into(), "Empty".into())])),
        (
            "shapes",
            vec![
                dict([("Circle", 0.5.into())]),
                dict([("Line", (1, 2).into())]),
                dict([("Box", dict([("width", 3.into()), ("items", vec![item()].into())]))]),
            ]
            .into(),
        ),
        ("data", vec![0u8, 255].into()),
        ("class", "class".into()),
    ]);
    assert_eq!(value, expected);
    assert_eq!(from_value::<Everything>(value).unwrap(), everything());

    let interp = create();
    interp.exec("def same(value): return value").unwrap();
    let Serde(back) = interp.call::<Serde<Everything>>("same", (Serde(&everything()),)).unwrap();
    assert_eq!(back, everything());
    let Serde(thrice) = interp.function("same").unwrap().call::<Serde<Vec<Shape>>>((Serde(back.shapes),)).unwrap();
    assert_eq!(thrice, everything().shapes);
}

#[test]
fn arguments_and_results_of_every_way_to_call() {
    let interp = create();
    interp
        .exec("def merged(*args, **kwargs): return {'name': args[0]['name'], 'count': kwargs['by']['count']}")
        .unwrap();
    let item = |name: &str, count| Serde(Item { name: name.into(), count });
    let (args, kwargs) = (|| (item("a", 1), 2), || [("by", item("b", 3))]);
    assert_eq!(interp.call_kw::<Serde<Item>>("merged", args(), kwargs()).unwrap(), item("a", 3));
    let merged = interp.function("merged").unwrap();
    assert_eq!(merged.call_kw::<Serde<Item>>(args(), kwargs()).unwrap(), item("a", 3));
    let thread = interp.call_kw_in_thread::<Serde<Item>>("merged", args(), kwargs()).unwrap();
    assert_eq!(thread.join().unwrap(), item("a", 3));
    interp.prepare_main([("item", item("c", 4))]).unwrap();
    assert_eq!(interp.eval::<Serde<Item>>("item").unwrap(), item("c", 4));
    // Within other results too.
    assert_eq!(interp.eval::<(i32, Vec<Serde<Item>>)>("(1, [item])").unwrap(), (1, vec![item("c", 4)]));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

fn mirrored(interp: &Interpreter, point: Point) -> subpy::Result<Point> {
    interp.exec("def mirrored(point): return {'x': point['y'], 'y': point['x']}")?;
    let Serde(point) = interp.call("mirrored", (Serde(point),))?;
    Ok(point)
}

#[test]
fn a_struct_goes_there_and_back() {
    assert_eq!(mirrored(&create(), Point { x: 1.0, y: 2.0 }).unwrap(), Point { x: 2.0, y: 1.0 });
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Text(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Event {
    Key { code: u32 },
    Quit,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: i32,
    #[serde(flatten)]
    rest: HashMap<String, i32>,
    #[serde(default)]
    missing: Vec<i32>,
}

#[test]
fn what_serde_can_say_of_a_type_holds() {
    let back = |value: Value| from_value::<Event>(value);
    assert_eq!(to_value(&Event::Key { code: 7 }).unwrap(), dict([("type", "Key".into()), ("code", 7.into())]));
    assert_eq!(back(to_value(&Event::Key { code: 7 }).unwrap()).unwrap(), Event::Key { code: 7 });
    assert_eq!(back(dict([("type", "Quit".into())])).unwrap(), Event::Quit);
    let either = from_value::<Vec<Either>>(vec![Value::from(1), Value::from("a")].into()).unwrap();
    assert_eq!(either, [Either::Number(1), Either::Text("a".into())]);
    let flat = from_value::<Flat>(dict([("id", 1.into()), ("a", 2.into())])).unwrap();
    assert_eq!(flat, Flat { id: 1, rest: HashMap::from([("a".into(), 2)]), missing: vec![] });
    // Unknown fields are nobody's business unless the type says so.
    let item = dict([("more", vec![1].into()), ("name", "a".into()), ("count", 1.into())]);
    assert_eq!(from_value::<Item>(item).unwrap(), Item { name: "a".into(), count: 1 });
    from_value::<IgnoredAny>(to_value(&everything()).unwrap()).unwrap();
}

#[test]
fn lists_and_tuples_stand_for_each_other() {
    let list = || Value::from(vec![1, 2]);
    let tuple = || Value::from((1, 2));
    for value in [list(), tuple()] {
        assert_eq!(from_value::<[i32; 2]>(value.clone()).unwrap(), [1, 2]);
        assert_eq!(from_value::<(i32, u8)>(value.clone()).unwrap(), (1, 2));
        assert_eq!(from_value::<Vec<i32>>(value).unwrap(), [1, 2]);
    }
    assert_eq!(to_value(&vec![1u8, 2]).unwrap(), list(), "to serde, a sequence of u8 is like any other");
    let newtype = from_value::<Meters>(1.into()).unwrap();
    assert_eq!(newtype, Meters(1.0));
    assert_eq!(from_value::<Shape>(dict([("Empty", Value::None)])).unwrap(), Shape::Empty);
}

#[track_caller]
fn wrong<T: DeserializeOwned + std::fmt::Debug>(value: impl Into<Value>) -> String {
    let error = from_value::<T>(value.into()).unwrap_err();
    assert!(matches!(error.kind, Kind::WrongType(_)), "{error:?}");
    error.to_string()
}

#[test]
fn errors_of_results_name_the_way() {
    let item = |name: Value, count: Value| dict([("name", name), ("count", count)]);
    let items = |item: Value| dict([("Box", dict([("width", 1.into()), ("items", vec![item].into())]))]);
    assert_eq!(
        wrong::<Shape>(items(item(7.into(), 1.into()))),
        "result.Box.items[0].name: invalid type: integer `7`, expected a string"
    );
    assert_eq!(
        wrong::<Shape>(items(item("a".into(), 256.into()))),
        "result.Box.items[0].count: invalid value: integer `256`, expected u8"
    );
    assert_eq!(wrong::<Shape>(items(dict([("name", "a".into())]))), "result.Box.items[0]: missing field `count`");
    assert_eq!(wrong::<Shape>(dict([("Circle", "1".into())])), "result.Circle: str is not float");
    assert_eq!(wrong::<Shape>(dict([("Line", vec![1].into())])), "result.Line: list has 1 items, not 2");
    assert_eq!(wrong::<Shape>(dict([("Box", vec![1].into())])), "result.Box: list is not dict");
    assert_eq!(wrong::<Shape>(dict([("Empty", 1.into())])), "result.Empty: int is not None");
    assert_eq!(wrong::<Shape>("Circle"), "result: \"Circle\" has no value: str is not dict");
    assert_eq!(
        wrong::<Shape>("Square"),
        "result: unknown variant `Square`, expected one of `Empty`, `Circle`, `Line`, `Box`"
    );
    assert_eq!(wrong::<Shape>(7), "result: int is not str or dict");
    assert_eq!(wrong::<Shape>(dict([])), "result: dict has 0 items, not 1");
    assert_eq!(wrong::<Shape>(Value::Dict(vec![(1.into(), 2.into())])), "result key 0: int is not str");
    assert_eq!(wrong::<BTreeMap<String, u8>>(dict([("a", (-1).into())])), {
        "result[\"a\"]: invalid value: integer `-1`, expected u8"
    });
    let numbered = Value::Dict(vec![(1.into(), 2.into()), ("a".into(), 3.into())]);
    assert_eq!(wrong::<BTreeMap<i32, u8>>(numbered.clone()), {
        "result key 1: invalid type: string \"a\", expected i32"
    });
    assert_eq!(wrong::<Item>(numbered), "result: invalid type: integer `1`, expected field identifier");
    for key in [Value::BigInt("0x10000000000000000".into()), b"name".into()] {
        let kind = if matches!(key, Value::Bytes(_)) { "bytes" } else { "int" };
        assert_eq!(wrong::<Item>(Value::Dict(vec![(key, 1.into())])), format!("result: {kind} is not str"));
    }
    assert_eq!(wrong::<Item>((1, 2)), "result: tuple is not dict");
    assert_eq!(wrong::<(u8, u8)>((1, 2, 3)), "result: tuple has 3 items, not 2");
    assert_eq!(wrong::<(u8, u8)>("ab"), "result: str is not tuple");
    assert_eq!(wrong::<String>(Value::None), "result: invalid type: None, expected a string");
    assert_eq!(wrong::<String>(dict([])), "result: invalid type: dict, expected a string");
    assert_eq!(wrong::<Vec<u8>>(b"ab"), "result: invalid type: bytes, expected a sequence");
    assert_eq!(wrong::<()>(0), "result: invalid type: integer `0`, expected unit");
    assert_eq!(wrong::<char>("ab"), "result: invalid value: string \"ab\", expected a character");
    assert_eq!(wrong::<i64>(true), "result: invalid type: boolean `true`, expected i64");
    assert_eq!(wrong::<f64>((1i64 << 53) + 1), "result: int 9007199254740993 is beyond 2^53, where f64 is not exact");
    assert!(wrong::<f32>(0.1).starts_with("result: "));
    assert!(wrong::<i128>(u128::MAX).starts_with("result: "));
    let enormous = Value::BigInt(format!("0x{}", "f".repeat(33)));
    assert_eq!(wrong::<u128>(enormous), format!("result: int 0x{} does not fit u128", "f".repeat(33)));

    let interp = create();
    let error = interp.eval::<Serde<Vec<Item>>>("[{'name': 'a', 'count': 1}, {'name': None, 'count': 1}]").unwrap_err();
    assert!(matches!(error.kind, Kind::WrongType(_)));
    assert_eq!(error.to_string(), "result[1].name: invalid type: None, expected a string");
    let error = interp.eval::<Vec<Serde<Meters>>>("[1, 'a']").unwrap_err();
    assert_eq!(error.to_string(), "result[1]: str is not float");
}

/// A path that is no UTF-8, which serde refuses.
fn no_text() -> PathBuf {
    PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(vec![0xff]))
}

#[derive(Serialize)]
enum Paths {
    One(PathBuf),
    Two(u8, PathBuf),
    Named { path: PathBuf },
}

#[test]
fn errors_of_arguments_name_the_way() {
    let reason = "path contains invalid UTF-8 characters";
    #[track_caller]
    fn refused<T: Serialize>(from: T) -> String {
        let error = to_value(&from).unwrap_err();
        assert!(matches!(error.kind, Kind::InvalidArgument(_)), "{error:?}");
        error.to_string()
    }
    assert_eq!(refused(no_text()), format!("value: {reason}"));
    assert_eq!(refused((1, [Some(no_text())])), format!("value[1][0]: {reason}"));
    assert_eq!(refused(Paths::One(no_text())), format!("value.One: {reason}"));
    assert_eq!(refused(vec![Paths::Two(1, no_text())]), format!("value[0].Two[1]: {reason}"));
    assert_eq!(refused(Paths::Named { path: no_text() }), format!("value.Named.path: {reason}"));
    assert_eq!(refused(BTreeMap::from([("a", [no_text()])])), format!("value[\"a\"][0]: {reason}"));
    assert_eq!(refused(BTreeMap::from([(1, no_text())])), format!("value[1]: {reason}"));
    assert_eq!(refused(BTreeMap::from([(no_text(), 1)])), format!("value key 0: {reason}"));

    let interp = create();
    interp.exec("def f(*args, **kwargs): pass").unwrap();
    let function = interp.function("f").unwrap();
    let path = || Serde([no_text()]);
    for (refused, place) in [
        (interp.call::<()>("f", (1, path())), "args[1]"),
        (function.call((path(),)), "args[0]"),
        (interp.call_kw("f", (), [("by", path())]), "kwargs['by']"),
        (interp.call_in_thread::<()>("f", (path(),)).map(drop), "args[0]"),
        (interp.prepare_main([("paths", path())]), "names['paths']"),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error.kind, Kind::InvalidArgument(_)), "{error:?}");
        assert_eq!(error.to_string(), format!("{place}[0]: {reason}"));
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nested {
    inner: Option<Box<Nested>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Branch { below: Vec<Tree> },
}

#[test]
fn depth_has_a_limit() {
    let nested = |depth: usize| (1..depth).fold(Nested { inner: None }, |it, _| Nested { inner: Some(it.into()) });
    let tree = |depth: usize| (0..depth).fold(Tree::Leaf, |it, _| Tree::Branch { below: vec![it] });
    assert_eq!(from_value::<Nested>(to_value(&nested(128)).unwrap()).unwrap(), nested(128));
    // A dict for the variant, a dict for its fields, and a list.
    assert_eq!(from_value::<Tree>(to_value(&tree(42)).unwrap()).unwrap(), tree(42));
    for wrong in [
        from_value::<Nested>(to_value(&nested(129)).unwrap()).map(drop),
        from_value::<Nested>(to_value(&nested(1000)).unwrap()).map(drop),
        from_value::<Tree>(to_value(&tree(333)).unwrap()).map(drop),
    ] {
        let error = wrong.unwrap_err();
        assert!(matches!(error.kind, Kind::WrongType(_)), "{error:?}");
        assert!(error.to_string().ends_with(": nested deeper than 128 levels"), "{error}");
    }
    // What nobody asks for may be as deep as it is.
    let deep = (0..999).fold(Value::None, |inner, _| Value::List(vec![inner]));
    let item = dict([("name", "a".into()), ("more", deep), ("count", 1.into())]);
    assert_eq!(from_value::<Item>(item).unwrap().count, 1);
    for refused in [to_value(&nested(1001)), to_value(&tree(334))] {
        let error = refused.unwrap_err();
        assert!(matches!(error.kind, Kind::InvalidArgument(_)), "{error:?}");
        assert_eq!(error.to_string(), "a value is nested deeper than 1000 levels");
    }
    let interp = create();
    interp.exec("def depth(value): return 0 if value is None else 1 + depth(value['inner'])").unwrap();
    interp.exec("def nested(depth): return {'inner': None if depth == 1 else nested(depth - 1)}").unwrap();
    assert_eq!(interp.call::<usize>("depth", (Serde(nested(900)),)).unwrap(), 900);
    assert_eq!(interp.call::<Serde<Nested>>("nested", (128,)).unwrap(), Serde(nested(128)));
    interp.call::<Serde<Nested>>("nested", (900,)).unwrap_err();
    let error = interp.call::<()>("depth", (Serde(nested(1001)),)).unwrap_err();
    assert_eq!(error.to_string(), "a value is nested deeper than 1000 levels");
}
