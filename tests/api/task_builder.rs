//! Tasks that are spawned with a name.

use std::rc::Rc;

use jenny::task::{self, Builder, LocalSet};

use crate::support::on_every_runtime;

on_every_runtime! {
    fn everything_can_have_a_name(flavour: Flavour) {
        let runtime = flavour.build();
        let handle = runtime.handle();
        let outside = [
            Builder::new().name("task").spawn_on(async { 1 }, handle).unwrap(),
            Builder::new().name("job").spawn_blocking_on(|| 1, handle).unwrap(),
        ];
        runtime.block_on(async {
            let builder = Builder::new().name("both");
            let inside = [builder.spawn(async { 1 }).unwrap(), builder.spawn_blocking(|| 1).unwrap()];
            for task in outside.into_iter().chain(inside) {
                assert_eq!(task.await.unwrap(), 1);
            }
        });
    }

    fn local_tasks_can_have_a_name(flavour: Flavour) {
        let (runtime, set) = (flavour.build(), LocalSet::new());
        let (first, second) = (Rc::new(1), Rc::new(2));
        let on = Builder::new().name("on").spawn_local_on(async move { *first }, &set).unwrap();
        runtime.block_on(set.run_until(async {
            let here = Builder::new().name("here").spawn_local(async move { *second }).unwrap();
            assert!(format!("{here:?}").contains("\"here\""));
            assert_eq!(on.await.unwrap() + here.await.unwrap(), 3);
        }));
    }

    /// The handle says where the task was spawned, and what it is called.
    fn handles_show_it(flavour: Flavour) {
        let runtime = flavour.build();
        let task = Builder::new().name("weaver").spawn_on(async {}, runtime.handle()).unwrap();
        let line = line!() - 1;
        let abort = task.abort_handle();
        for shown in [format!("{task:?}"), format!("{abort:?}")] {
            assert!(shown.contains("\"weaver\""), "{shown}");
            assert!(shown.contains(&format!("task_builder.rs:{line}")), "{shown}");
        }
        let unnamed = format!("{:?}", runtime.spawn(async {}));
        assert!(!unnamed.contains("name"), "{unnamed}");
    }

    /// The name is copied: the text need not outlive the builder.
    fn a_name_may_be_made_up(flavour: Flavour) {
        flavour.build().block_on(async {
            let tasks: Vec<_> = (0..100)
                .map(|i| {
                    let name = format!("weaver {i}");
                    let task = Builder::new().name(&name).spawn(task::yield_now()).unwrap();
                    drop(name);
                    task
                })
                .collect();
            for (i, task) in tasks.into_iter().enumerate() {
                assert!(format!("{task:?}").contains(&format!("\"weaver {i}\"")));
                task.await.unwrap();
            }
        });
    }
}
