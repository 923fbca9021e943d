//! Weakens this package, and no other.

fn main() {
    println!("cargo::rustc-cfg=weakened_verifier");
    println!("cargo::rerun-if-changed=build.rs");
}
