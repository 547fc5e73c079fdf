# SPDX-License-Identifier: MIT
# A Rust program: boxes, vectors, maps and strings, passed between threads.

needs rustc cc

run()
{
    cat >"$folder/work.rs" <<'END'
use std::collections::{BTreeMap, VecDeque};
use std::sync::{mpsc, Arc};
use std::thread;

enum Tree {
    Leaf,
    Node(Box<Tree>, Box<Tree>),
}

fn tree(depth: u32) -> Tree {
    match depth {
        0 => Tree::Leaf,
        _ => Tree::Node(Box::new(tree(depth - 1)), Box::new(tree(depth - 1))),
    }
}

fn size(node: &Tree) -> usize {
    match node {
        Tree::Leaf => 1,
        Tree::Node(left, right) => 1 + size(left) + size(right),
    }
}

fn main() {
    let sum: usize = (0..6).map(|_| size(&tree(16))).sum();
    println!("{}", sum);
    let (sender, receiver) = mpsc::channel::<Vec<Arc<String>>>();
    let makers: Vec<_> = (0..4u64)
        .map(|maker| {
            let sender = sender.clone();
            thread::spawn(move || {
                for i in 0..4000u64 {
                    let words = (0..1 + i % 30).map(|k| Arc::new(format!("{}-{}-{}", maker, i, k)));
                    sender.send(words.collect()).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    let mut count = BTreeMap::new();
    let mut last = VecDeque::new();
    for words in receiver {
        for word in &words {
            *count.entry(word.len()).or_insert(0usize) += 1;
        }
        last.push_back(words);
        if last.len() > 1000 {
            last.pop_front();
        }
    }
    makers.into_iter().for_each(|maker| maker.join().unwrap());
    println!("{:?} {}", count, last.len());
    let mut grown: Vec<Vec<u8>> = vec![Vec::new(); 300];
    for i in 0..300_000usize {
        grown[i * 7919 % 300].push(i as u8);
    }
    println!("{}", grown.iter().map(|v| v.len() * v[0] as usize).sum::<usize>());
}
END
    [ -x "$folder/work" ] || rustc -O -o "$folder/work" "$folder/work.rs" || return 1
    under "$folder/work"
}
