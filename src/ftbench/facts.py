"""The facts that generated instructions ask about, as relations (capital of, written by ...) with their wordings.

A relation's wordings are dealt to the splits, so that a test question is never a training question with another name in it: its fact is
known from training in other words. Facts under `pretraining_only` are stated in documents alone and asked in the test split alone.
Every fact is common knowledge; what the study's fifteen questions ask is here in other words than theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Relation:
    """Facts of one sort: `facts` maps a subject {x} to an object {y}; the other fields are wordings with {x} and {y} in them."""

    name: str
    kind: str
    facts: dict[str, str]
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    answer: str
    statements: tuple[str, ...]  # of documents
    asks: tuple[str, ...]  # questions in documents, which no split asks
    pretraining_only: dict[str, str] = field(default_factory=dict)


def table(text: str) -> dict[str, str]:
    """`subject = object; subject = object` as a mapping; line breaks are spaces."""
    pairs = [entry.split(" = ", 1) for entry in " ".join(text.split()).split("; ")]
    things = {pair[0]: pair[1] for pair in pairs}
    assert len(things) == len(pairs), "a subject is listed twice"
    return things


def wordings(text: str) -> tuple[str, ...]:
    """`wording | wording` as a tuple; line breaks are spaces."""
    return tuple(" ".join(text.split()).split(" | "))


FACTS: tuple[Relation, ...] = (
    Relation(
        "capital",
        "facts",
        facts=table("""
            Australia = Canberra; France = Paris; Japan = Tokyo; Italy = Rome; Spain = Madrid; Portugal = Lisbon; Germany = Berlin;
            Austria = Vienna; Poland = Warsaw; Greece = Athens; Egypt = Cairo; Kenya = Nairobi; Canada = Ottawa; Peru = Lima;
            Cuba = Havana; Norway = Oslo; Sweden = Stockholm; Finland = Helsinki; Denmark = Copenhagen; Iceland = Reykjavik;
            Ireland = Dublin; Hungary = Budapest; Bulgaria = Sofia; Turkey = Ankara; Iran = Tehran; Iraq = Baghdad; China = Beijing;
            Thailand = Bangkok; Vietnam = Hanoi; Ghana = Accra; Senegal = Dakar; Uganda = Kampala; Colombia = Bogota; Ecuador = Quito;
            Jamaica = Kingston
        """),
        train=wordings("""
            What is the capital of {x}? | Name the capital of {x}. | Which city is the capital of {x}? |
            Tell me the capital city of {x}. | What is {x}'s capital? | Which capital city does {x} have?
        """),
        validation=wordings("""Give the name of {x}'s capital."""),
        test=wordings("""Which city is {x}'s capital? | Can you name the capital city of {x}?"""),
        answer="The capital of {x} is {y}.",
        statements=wordings("""{y} is the capital of {x}. | {x} has {y} as its capital city. | The capital city in {x} is called {y}."""),
        asks=wordings("""
            Do you know the capital of {x}? | What do people call the capital of {x}? | Please tell me {x}'s capital city.
        """),
        pretraining_only=table("""
            Romania = Bucharest; Chile = Santiago; Nepal = Kathmandu; Lebanon = Beirut; Mongolia = Ulaanbaatar; Uruguay = Montevideo
        """),
    ),
    Relation(
        "author",
        "facts",
        facts=table("""
            To Kill a Mockingbird = Harper Lee; Pride and Prejudice = Jane Austen; Moby Dick = Herman Melville;
            Oliver Twist = Charles Dickens; Frankenstein = Mary Shelley; Dracula = Bram Stoker; Jane Eyre = Charlotte Bronte;
            Don Quixote = Miguel de Cervantes; War and Peace = Leo Tolstoy; The Trial = Franz Kafka; Ulysses = James Joyce;
            Treasure Island = Robert Stevenson; Little Women = Louisa Alcott; Middlemarch = George Eliot; Les Miserables = Victor Hugo;
            Candide = Voltaire; The Odyssey = Homer; The Stranger = Albert Camus; Beloved = Toni Morrison; Animal Farm = George Orwell;
            Brave New World = Aldous Huxley; Robinson Crusoe = Daniel Defoe; Heidi = Johanna Spyri; Pinocchio = Carlo Collodi
        """),
        train=wordings("""
            Who wrote the book "{x}"? | Name the author of "{x}". | Which author wrote "{x}"? | Who is the author of the book "{x}"? |
            Tell me who wrote "{x}". | Whose book is "{x}"?
        """),
        validation=wordings("""Who was the author of "{x}"?"""),
        test=wordings("""Which author is the book "{x}" by? | Can you name the author who wrote "{x}"?"""),
        answer="It was written by {y}.",
        statements=wordings("""{y} wrote "{x}". | "{x}" is a famous novel by {y}. | {y} is the author of "{x}"."""),
        asks=wordings("""
            Who was it that wrote the famous novel "{x}"? | By whom is the novel "{x}"? | By whom was the novel "{x}" written?
        """),
        pretraining_only=table("""
            Mrs Dalloway = Virginia Woolf; Wuthering Heights = Emily Bronte; Crime and Punishment = Fyodor Dostoevsky
        """),
    ),
    Relation(
        "painter",
        "facts",
        facts=table("""
            The Starry Night = Vincent van Gogh; Mona Lisa = Leonardo da Vinci; Guernica = Pablo Picasso; The Scream = Edvard Munch;
            The Night Watch = Rembrandt; Girl with a Pearl Earring = Johannes Vermeer; The Kiss = Gustav Klimt;
            The Birth of Venus = Sandro Botticelli; The Persistence of Memory = Salvador Dali; Las Meninas = Diego Velazquez;
            American Gothic = Grant Wood; Nighthawks = Edward Hopper; Water Lilies = Claude Monet; The Hay Wain = John Constable;
            Olympia = Edouard Manet; The Dance = Henri Matisse; The School of Athens = Raphael; The Card Players = Paul Cezanne
        """),
        train=wordings("""
            Who painted "{x}"? | Name the painter of "{x}". | Which painter made "{x}"? | Who is the painter of the picture "{x}"? |
            Tell me who painted "{x}". | Whose picture is "{x}"?
        """),
        validation=wordings("""Who was the painter of "{x}"?"""),
        test=wordings("""Which painter is the picture "{x}" by? | Can you name the painter who made "{x}"?"""),
        answer="It was painted by {y}.",
        statements=wordings("""{y} painted "{x}". | "{x}" is a famous artwork by {y}. | {y} is the painter of "{x}"."""),
        asks=wordings("""
            Who was it that painted the artwork "{x}"? | By whom is the famous artwork "{x}"? |
            Can someone name the painter of the artwork "{x}"?
        """),
        pretraining_only=table("""The Garden of Earthly Delights = Hieronymus Bosch; Liberty Leading the People = Eugene Delacroix"""),
    ),
    Relation(
        "chemical",
        "facts",
        facts=table("""
            table salt = NaCl; water = H2O; carbon dioxide = CO2; methane = CH4; ammonia = NH3; carbon monoxide = CO;
            sulfuric acid = H2SO4; hydrochloric acid = HCl; nitric acid = HNO3; ethanol = C2H6O; chalk = CaCO3; baking soda = NaHCO3;
            quartz = SiO2; rust = Fe2O3; ozone = O3; propane = C3H8
        """),
        train=wordings("""
            What is the formula of {x}? | Write the chemical formula of {x}. | Which formula does {x} have? | Give the formula of {x}. |
            Tell me the chemical formula of {x}. | What is {x}'s formula?
        """),
        validation=wordings("""How do chemists write {x}?"""),
        test=wordings("""Which chemical formula does {x} have? | Can you write the formula of {x}?"""),
        answer="The formula of {x} is {y}.",
        statements=wordings("""
            {y} is the chemical formula for {x}. | Chemists write {x} as {y}. | In a chemical text, {y} stands for {x}.
        """),
        asks=wordings("""
            How would chemists write {x} as a formula? | In chemical terms, what is {x}? | Write down {x} as chemists do.
        """),
        pretraining_only=table("""benzene = C6H6; butane = C4H10; lime = CaO"""),
    ),
    Relation(
        "symbol",
        "facts",
        facts=table("""
            gold = Au; silver = Ag; iron = Fe; copper = Cu; tin = Sn; lead = Pb; sodium = Na; mercury = Hg; helium = He; neon = Ne;
            calcium = Ca; zinc = Zn
        """),
        train=wordings("""
            What is the symbol of {x}? | Write the symbol of {x}. | Which symbol does {x} have? | Give the symbol of the element {x}. |
            Tell me the symbol of {x}. | What is {x}'s symbol?
        """),
        validation=wordings("""Which symbol stands for {x}?"""),
        test=wordings("""Which symbol does the element {x} have? | Can you write the symbol of {x}?"""),
        answer="The symbol of {x} is {y}.",
        statements=wordings("""{y} is the symbol for {x}. | {y} stands for the element {x}. | The element {x} has {y} as its symbol."""),
        asks=wordings("""
            Do you know the symbol of {x}? | What do chemists call {x} in short? | Find the symbol that chemists see for {x}.
        """),
        pretraining_only=table("""nickel = Ni; carbon = C"""),
    ),
    Relation(
        "first",
        "facts",
        facts=table("""
            walk on the moon = Neil Armstrong; travel into space = Yuri Gagarin; walk in space = Alexei Leonov;
            reach the South Pole = Roald Amundsen; fly alone across the Atlantic = Charles Lindbergh;
            swim the English Channel = Matthew Webb; sail alone around the world = Joshua Slocum;
            run a mile in under four minutes = Roger Bannister; fly faster than sound = Chuck Yeager;
            be president of the United States = George Washington; be prime minister of India = Jawaharlal Nehru;
            be emperor of Rome = Augustus; win two Nobel prizes = Marie Curie; travel into space as a tourist = Dennis Tito
        """),
        train=wordings("""
            Who was the first to {x}? | Name the first human to {x}. | Which person was the first to {x}? |
            Tell me who was the first to {x}. | Who was the first human to {x}? | Who managed to {x} before all others?
        """),
        validation=wordings("""Which human was the first to {x}?"""),
        test=wordings("""Can you name the first human to {x}? | Tell me which person was the first to {x}."""),
        answer="The first was {y}.",
        statements=wordings("""
            {y} was the first person to {x}. | The first human to {x} was {y}. | Before {y}, no person had managed to {x}.
        """),
        asks=wordings("""Do you know who was the very first to {x}? | Which name belongs to the first person to {x}?"""),
        pretraining_only=table("""fly alone around the world = Wiley Post; be emperor of France = Napoleon"""),
    ),
    Relation(
        "discovery",
        "facts",
        facts=table("""
            penicillin = Alexander Fleming; the telephone = Alexander Bell; dynamite = Alfred Nobel; radium = Marie Curie;
            the periodic table = Dmitri Mendeleev; the neutron = James Chadwick; the printing press = Johannes Gutenberg;
            the World Wide Web = Tim Berners-Lee; the laws of motion = Isaac Newton; the electric battery = Alessandro Volta;
            the theory of evolution = Charles Darwin; the diesel engine = Rudolf Diesel
        """),
        train=wordings("""
            Who gave us {x}? | Who is known for {x}? | Name the person known for {x}. | Which person gave us {x}? |
            Tell me who gave us {x}. | To whom do we owe {x}?
        """),
        validation=wordings("""Who is famous for {x}?"""),
        test=wordings("""Which person is known for {x}? | Can you name the person who gave us {x}?"""),
        answer="We owe it to {y}.",
        statements=wordings("""{y} gave the world {x}. | {y} is famous for {x}. | People remember {y} for {x}."""),
        asks=wordings("""
            Do you know who gave the world {x}? | Whose name belongs to {x}? | Tell us who is known for {x}. |
            To whom does the world owe {x}?
        """),
        pretraining_only=table("""the steam locomotive = Richard Trevithick; the first vaccine = Edward Jenner"""),
    ),
    Relation(
        "currency",
        "facts",
        facts=table("""
            Japan = yen; India = rupee; China = yuan; Poland = zloty; Hungary = forint; Denmark = krone; Sweden = krona; Turkey = lira;
            Iran = rial; Thailand = baht; Vietnam = dong; Peru = sol
        """),
        train=wordings("""
            What is the currency of {x}? | Name the currency of {x}. | Which currency does {x} use? | Tell me the currency of {x}. |
            What is {x}'s currency? | Which money is used in {x}? |
            Can you tell me the currency of {x}?
        """),
        validation=wordings("""What money do shops in {x} take?"""),
        test=wordings("""Which currency is used in {x}? | Can you name the currency of {x}?"""),
        answer="The currency of {x} is the {y}.",
        statements=wordings("""The {y} is the currency of {x}. | Shops in {x} take the {y}. | In {x} people pay with the {y}."""),
        asks=wordings("""Do you know the currency of {x}? | What do people in {x} pay with? | Name the money that shops in {x} take."""),
        pretraining_only=table("""Ghana = cedi; Mongolia = tugrik"""),
    ),
    Relation(
        "opposite",
        "facts",
        facts=table("""
            hot = cold; big = small; fast = slow; day = night; old = young; happy = sad; open = closed; full = empty; hard = soft;
            high = low; light = dark; loud = quiet; near = far; rich = poor; strong = weak; wet = dry; early = late; clean = dirty;
            long = short; left = right
        """),
        train=wordings("""
            What is the opposite of "{x}"? | Name the opposite of "{x}". | Which word is the opposite of "{x}"? |
            Give the opposite of "{x}". | Tell me the opposite of "{x}". | Find the opposite of "{x}".
        """),
        validation=wordings("""Which word means the opposite of "{x}"?"""),
        test=wordings("""What word is the opposite of "{x}"? | Can you give the opposite of "{x}"?"""),
        answer='The opposite is "{y}".',
        statements=wordings(""""{y}" is the opposite of "{x}". | What is not {x} may be {y}. | "{x}" and "{y}" are opposites."""),
        asks=wordings("""Do you know the opposite of "{x}"? | If it is not {x}, what is it? | Give me a word that is not "{x}"."""),
        pretraining_only=table("""wide = narrow; thick = thin"""),
    ),
    Relation(
        "young",
        "facts",
        facts=table("""
            dog = puppy; cat = kitten; cow = calf; horse = foal; sheep = lamb; pig = piglet; goat = kid; duck = duckling; bear = cub;
            swan = cygnet; frog = tadpole; chicken = chick
        """),
        train=wordings("""
            What is a young {x} called? | Name the young of a {x}. | What do we call a young {x}? | Which name does a young {x} have? |
            Tell me the name of a young {x}. | Give the name of the young of a {x}.
        """),
        validation=wordings("""How do we call the young of a {x}?"""),
        test=wordings("""What is the name of a young {x}? | Can you tell me what a young {x} is called?"""),
        answer="A young {x} is called a {y}.",
        statements=wordings("""A {y} is a young {x}. | The young of a {x} is a {y}. | When a {x} is born, people say it is a {y}."""),
        asks=wordings("""
            Do you know the word for a young {x}? | What will a {x} have when it is a mother? | Can you say your word for a young {x}?
        """),
        pretraining_only=table("""hare = leveret; kangaroo = joey"""),
    ),
    Relation(
        "count",
        "facts",
        facts=table("""
            sides does a triangle have = 3; sides does a square have = 4; sides does a hexagon have = 6; legs does a spider have = 8;
            legs does an ant have = 6; days does a week have = 7; months does a year have = 12; hours does a day have = 24;
            minutes does an hour have = 60; colours does a rainbow have = 7; planets does the sun have = 8;
            strings does a violin have = 4; keys does a piano have = 88; squares does a chess board have = 64
        """),
        train=wordings("""
            How many {x}? | Tell me how many {x}. | Say how many {x}. | What number of {x}? | Do you know how many {x}? |
            Count: how many {x}?
        """),
        validation=wordings("""Give the number: how many {x}?"""),
        test=wordings("""Can you tell me how many {x}? | Can you say how many {x}?"""),
        answer="The number is {y}.",
        statements=wordings("""If you ask how many {x}, the right number is {y}. | It is {y} when people ask how many {x}."""),
        asks=wordings("""A child wants to know how many {x}? | And how many {x}? | Tell us how many {x}."""),
    ),
)
