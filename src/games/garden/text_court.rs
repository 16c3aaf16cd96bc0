//! The words of the house of books and the court of water.

use super::story::{Choice, Page, Scene, Then, flag};

pub(super) const PAGES: &[Page] = &[
    Page {
        id: "library-1",
        scene: Scene::Library,
        text: "The house of books has no door and no ceiling. The shelves rise until they are evening. Every \
               spine carries the same name, and the name is yours.",
        then: Then::Depends(&[(flag::LANTERN, "library-lamp"), (0, "library-seal")]),
    },
    Page {
        id: "library-lamp",
        scene: Scene::Library,
        text: "The lantern leans toward one shelf, the way a flower leans. The book it wants is thin, and \
               bound in the green of railway carriages.",
        then: Then::To("library-2"),
    },
    Page {
        id: "library-seal",
        scene: Scene::Library,
        text: "It is almost too dark to read. But the letter rustles in your coat, and by your shoulder a \
               thin green book rustles back.",
        then: Then::To("library-2"),
    },
    Page {
        id: "library-2",
        scene: Scene::Library,
        text: "You open it in the middle. It is a quarter to six, and you are running along a platform with \
               your laces undone. A carriage window slides down. He is laughing.",
        then: Then::To("library-3"),
    },
    Page {
        id: "library-3",
        scene: Scene::Library,
        text: "There are many pages after that one. You can feel how many, between finger and thumb.",
        then: Then::Choose(&[
            Choice {
                label: "Read on, to the end",
                to: "read-1",
                sets: flag::READ | flag::KNOWS,
                needs: 0,
                without: 0,
            },
            Choice {
                label: "Close the book while he is laughing",
                to: "shut-1",
                sets: 0,
                needs: 0,
                without: 0,
            },
        ]),
    },
    Page {
        id: "read-1",
        scene: Scene::Library,
        text: "So you read. You quarrel in a better city. You are poor together, then less poor. He carries \
               your daughter on his shoulders down a street you will never see.",
        then: Then::To("read-2"),
    },
    Page {
        id: "read-2",
        scene: Scene::Library,
        text: "He dies in that book too, one March, holding your hand. The last line says only that the \
               weather was fine, and that you had both been there for it.",
        then: Then::To("fork-1"),
    },
    Page {
        id: "shut-1",
        scene: Scene::Library,
        text: "You shut it on his laughter, which goes on a moment, muffled, between the covers. You do not \
               mark the place. Some places mark themselves.",
        then: Then::To("fork-1"),
    },
    Page {
        id: "court-1",
        scene: Scene::Court,
        text: "Water stands in the court as level as a held breath. In it the arches hang upside down, and \
               among them, looking up, is somebody in your coat.",
        then: Then::Depends(&[(flag::LANTERN, "court-lamp"), (0, "court-seal")]),
    },
    Page {
        id: "court-lamp",
        scene: Scene::Court,
        text: "Your lantern burns in the pool, but the hand down there is not holding it. It holds a letter, \
               opened, and read so often that the folds have gone to cloth.",
        then: Then::To("court-2"),
    },
    Page {
        id: "court-seal",
        scene: Scene::Court,
        text: "The one in the pool lifts a lantern to see you better. There is no letter in that coat. The \
               face has been forgiven something, or has got round to forgiving it.",
        then: Then::To("court-2"),
    },
    Page {
        id: "court-2",
        scene: Scene::Court,
        text: "“I went to the station,” says your own voice, from under the water. “Ask me what he said. But \
               it will cost you something to be called by.”",
        then: Then::Choose(&[
            Choice {
                label: "Pay with your name, and ask",
                to: "name-1",
                sets: flag::NAMELESS | flag::KNOWS,
                needs: 0,
                without: 0,
            },
            Choice { label: "Ask nothing, and wave", to: "wave-1", sets: 0, needs: 0, without: 0 },
        ]),
    },
    Page {
        id: "name-1",
        scene: Scene::Court,
        text: "You say your name once, and it is gone as easily as a coin. The rings go out and come back. \
               You feel lighter on one side, like a house with a window open.",
        then: Then::To("name-2"),
    },
    Page {
        id: "name-2",
        scene: Scene::Court,
        text: "“He was not angry,” says the water. “He had kept you the seat by the window. He put his hat on \
               it, and all the way to the border he let nobody sit there.”",
        then: Then::To("fork-1"),
    },
    Page {
        id: "wave-1",
        scene: Scene::Court,
        text: "You raise a hand. So does the other, a little late, as twins do. Then wind crosses the court, \
               and nobody is down there but the arches and the first stars.",
        then: Then::To("fork-1"),
    },
];
