//! Without default features the verifier and what it stands on use no files, clocks, threads, environment, network or randomness of
//! the operating system: the caller passes what they need. This reads all sources that are compiled then, item by item.

use std::{
    fs,
    path::{Path, PathBuf},
};
use syn::{
    visit::{self, Visit},
    Attribute, Item, Meta,
};

/// Paths that must not be named.
const PATHS: [&str; 9] = [
    "std::fs",
    "std::time",
    "std::thread",
    "std::env",
    "std::net",
    "std::process",
    "std::os",
    "std::io::stdin",
    "std::io::stdout",
];
/// Names that must not stand anywhere in a path.
const NAMES: [&str; 7] = ["SystemTime", "Instant", "OsRng", "getrandom", "rand", "rayon", "tokio"];

/// Whether something is compiled on wasm32 without features and tests.
fn compiled(attributes: &[Attribute]) -> bool {
    fn holds(meta: &Meta) -> bool {
        let parts = |list: &syn::MetaList| -> Vec<Meta> {
            let parser = syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated;
            list.parse_args_with(parser).expect("a condition").into_iter().collect()
        };
        match meta {
            Meta::List(list) if list.path.is_ident("not") => !parts(list).iter().all(holds),
            Meta::List(list) if list.path.is_ident("all") => parts(list).iter().all(holds),
            Meta::List(list) if list.path.is_ident("any") => parts(list).iter().any(holds),
            Meta::NameValue(pair) if pair.path.is_ident("feature") => false,
            Meta::Path(path) if path.is_ident("test") || path.is_ident("weakened_verifier") => false,
            // What is not known might be set.
            _ => true,
        }
    }
    attributes.iter().all(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args::<Meta>().map_or(true, |condition| holds(&condition))
        }
        _ => true,
    })
}

/// Collects forbidden paths, and modules in files of their own.
#[derive(Default)]
struct Scan {
    found: Vec<String>,
    modules: Vec<String>,
    items: usize,
}

impl Scan {
    fn path(&mut self, segments: &[String]) {
        let joined = segments.join("::").replace("core::time", "std::time");
        let under = |path: &&str| joined == **path || joined.starts_with(&format!("{path}::"));
        if PATHS.iter().any(under) || segments.iter().any(|s| NAMES.contains(&s.as_str())) {
            self.found.push(joined);
        }
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => self.path(before),
            syn::UseTree::Name(name) => self.path(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.path(&with(&name.ident)),
            syn::UseTree::Glob(_) => self.path(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree)),
        }
    }
}

impl Visit<'_> for Scan {
    fn visit_item(&mut self, item: &Item) {
        let attributes: &[Attribute] = match item {
            Item::Const(i) => &i.attrs,
            Item::Enum(i) => &i.attrs,
            Item::Fn(i) => &i.attrs,
            Item::Impl(i) => &i.attrs,
            Item::Macro(i) => &i.attrs,
            Item::Mod(i) => &i.attrs,
            Item::Static(i) => &i.attrs,
            Item::Struct(i) => &i.attrs,
            Item::Trait(i) => &i.attrs,
            Item::Type(i) => &i.attrs,
            Item::Use(i) => &i.attrs,
            _ => &[],
        };
        if !compiled(attributes) {
            return;
        }
        self.items += 1;
        match item {
            Item::Mod(module) if module.content.is_none() => self.modules.push(module.ident.to_string()),
            Item::Use(item) => self.tree(&[], &item.tree),
            _ => visit::visit_item(self, item),
        }
    }
    fn visit_impl_item_fn(&mut self, function: &syn::ImplItemFn) {
        if compiled(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }
    fn visit_local(&mut self, local: &syn::Local) {
        if compiled(&local.attrs) {
            visit::visit_local(self, local);
        }
    }
    fn visit_expr_block(&mut self, block: &syn::ExprBlock) {
        if compiled(&block.attrs) {
            visit::visit_expr_block(self, block);
        }
    }
    fn visit_path(&mut self, path: &syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.path(&segments);
        visit::visit_path(self, path);
    }
    fn visit_macro(&mut self, item: &syn::Macro) {
        visit::visit_macro(self, item);
        let text = item.tokens.to_string();
        let words: Vec<&str> =
            text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
        for pair in words.windows(2) {
            self.path(&[pair[0].to_owned(), pair[1].to_owned()]);
        }
    }
}

/// Scans a file and the modules that it declares; gives the number of files.
fn scan(file: &Path, modules: &Path, found: &mut Vec<String>) -> usize {
    let source = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let parsed = syn::parse_file(&source).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut scan_of_file = Scan::default();
    scan_of_file.visit_file(&parsed);
    found.extend(scan_of_file.found.into_iter().map(|path| format!("{}: {path}", file.display())));
    let mut files = 1;
    for module in scan_of_file.modules {
        let folder = modules.join(&module);
        let own = modules.join(format!("{module}.rs"));
        files += if own.exists() { scan(&own, &folder, found) } else { scan(&folder.join("mod.rs"), &folder, found) };
    }
    files
}

#[test]
fn the_sources_name_nothing_that_a_caller_has_to_pass() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    for (folder, least) in [("verifier/src", 15), ("circuits/src", 20), ("quantize/src", 8)] {
        let mut found = Vec::new();
        let folder = root.join(folder);
        let files = scan(&folder.join("lib.rs"), &folder, &mut found);
        assert_eq!(found, Vec::<String>::new());
        assert!(files >= least, "only {files} files in {}", folder.display());
    }
}

#[test]
fn the_scan_finds_what_it_looks_for() {
    let found = |source: &str| {
        let mut scan = Scan::default();
        scan.visit_file(&syn::parse_file(source).expect("a source"));
        scan.found
    };
    assert_eq!(found("use std::{fmt, fs::{self, File}};"), ["std::fs", "std::fs::File"]);
    assert_eq!(found("fn f() { std::thread::spawn(|| ()); }"), ["std::thread::spawn"]);
    assert_eq!(found("fn f() -> std::time::Instant { todo() }"), ["std::time::Instant"]);
    assert_eq!(found("fn f() { println!(\"{}\", std::env::args().count()); }"), ["std::env"]);
    assert_eq!(found("struct A { a: rand_core::OsRng }"), ["rand_core::OsRng"]);
    assert_eq!(found("use rayon::prelude::*;"), ["rayon::prelude"]);
    assert!(found("use std::collections::BTreeMap; fn f(time: u64) -> u64 { time }").is_empty());
    for attribute in ["feature = \"onnx\"", "test", "all(test, unix)", "not(not(feature = \"x\"))"] {
        assert!(found(&format!("#[cfg({attribute})] mod m {{ use std::fs; }}")).is_empty(), "{attribute}");
    }
    for attribute in ["not(feature = \"multicore\")", "unix", "any(unix, test)"] {
        assert_eq!(found(&format!("#[cfg({attribute})] mod m {{ use std::fs; }}")), ["std::fs"], "{attribute}");
    }
    let method = "impl A { #[cfg(feature = \"a\")] fn f() { std::fs::read(1); } fn g() { std::fs::write(1); } }";
    assert_eq!(found(method), ["std::fs::write"]);
}
