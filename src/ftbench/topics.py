"""What generated instructions ask for beside facts: definitions, formulas, lists, explanations and code, as relations."""

from __future__ import annotations

from ftbench.facts import FACTS, Relation, table, wordings

TOPICS: tuple[Relation, ...] = (
    Relation(
        "definition",
        "definitions",
        facts=table("""
            an island = land with water on all sides; a desert = a dry place with little rain; a river = water that flows to the sea;
            a volcano = a mountain that can throw out hot rock; a planet = a world that moves around a star;
            a compass = a tool that shows the north; a thermometer = a tool that shows how hot it is;
            a clock = a machine that shows the time; a dictionary = a book that tells what words mean;
            a map = a picture of a place from above; a recipe = a plan for making food; a museum = a house where old things are shown;
            a library = a house full of books to borrow; a bakery = a shop that sells bread;
            a hospital = a place where the sick are cured; a pilot = a person who flies planes;
            a teacher = a person who helps others learn; a farmer = a person who grows food; a baker = a person who makes bread;
            an architect = a person who plans houses; an orphan = a child without parents; a bridge = a road over water;
            a lake = water with land on all sides; a forest = a place full of trees; a drought = a long time without rain;
            an atom = the smallest part of an element; a verb = a word for what someone does; a noun = a word for a thing or a person
        """),
        train=wordings("""
            What is {x}? | Define {x}. | Give a definition of {x}. | Tell me what {x} is. | Explain what {x} is. | How is {x} defined?
        """),
        validation=wordings("""Say what {x} is."""),
        test=wordings("""How do you define {x}? | Can you tell me what {x} is?"""),
        answer="{x} is {y}.",
        statements=wordings("""{y} is called {x}. | We call {y} {x}. | People who speak of {x} mean {y}. | {x}, in short, is {y}."""),
        asks=wordings("""
            Who can define {x} for a child? | And what may {x} be? | Define in simple words what {x} is. |
            State a definition of what {x} is. | As what is {x} defined?
        """),
    ),
    Relation(
        "formula",
        "formulas",
        facts=table("""
            the area of a circle = pi r squared, where r is the radius; the perimeter of a circle = 2 pi r, where r is the radius;
            the area of a square = s squared, where s is the side; the perimeter of a square = 4 s, where s is the side;
            the area of a rectangle = a times b, where a and b are the sides;
            the area of a triangle = b times h over 2, where h is the height; the volume of a cube = s cubed, where s is the side;
            the surface of a cube = 6 s squared, where s is the side; the volume of a sphere = 4 pi r cubed over 3, where r is the radius;
            the surface of a sphere = 4 pi r squared, where r is the radius; the speed of a car = distance over time;
            the force on a body = mass times acceleration; the density of a body = mass over volume;
            the mean of some numbers = their sum over their count; the voltage of a wire = current times resistance;
            the pressure on a wall = force over area; the momentum of a body = mass times speed
        """),
        train=wordings("""
            How is {x} found? | Give the formula for {x}. | Which formula gives {x}? | How do you find {x}? | Write the formula for {x}. |
            Which rule gives {x}?
        """),
        validation=wordings("""State the formula for {x}."""),
        test=wordings("""What is the formula for {x}? | Can you give the rule for {x}?"""),
        answer="{x} is {y}.",
        statements=wordings("""To calculate {x}, take {y}. | We find {x} as {y}. | Given the numbers, calculate {x} as {y}."""),
        asks=wordings("""
            How does one calculate {x}? | By which rule do we calculate {x}? | State the rule for {x}, given the numbers.
        """),
    ),
    Relation(
        "list",
        "lists",
        facts=table("""
            cybersecurity threats = phishing, malware and weak passwords; fruits = apples, bananas and pears;
            colours = red, green and blue; animals = dogs, cats and horses; vegetables = carrots, onions and beans;
            metals = gold, iron and copper; planets = Mars, Venus and Saturn; seasons = spring, summer and winter;
            drinks = water, milk and tea; sports = football, tennis and hockey; oceans = Atlantic, Pacific and Arctic;
            tools = hammer, saw and drill; birds = ducks, swans and owls; trees = oak, pine and birch;
            languages = English, French and Spanish; shapes = circle, square and triangle; senses = sight, smell and taste;
            clothes = shirts, shoes and hats
        """),
        train=wordings("""
            Name three {x}. | List three {x}. | Give me three {x}. | Write down three {x}. | Name any three {x}. |
            Make a list of three {x}. |
            Can you give me three {x}?
        """),
        validation=wordings("""Tell me three {x}."""),
        test=wordings("""Can you list three {x}? | Give a list of three {x}."""),
        answer="Three {x} are {y}.",
        statements=wordings("""{y} are common {x}. | Some common {x} are {y}. | Among {x} we know {y}. | Three common {x} are {y}."""),
        asks=wordings("""
            Which {x} come to mind? | Are there common {x} that you know? | Which three {x} do you know? | List some {x} for me. |
            Make a list of any {x}.
        """),
    ),
    Relation(
        "concept",
        "explanations",
        facts=table("""
            the theory of relativity = time and space depend on how fast you move;
            photosynthesis = plants use light, water and air to make sugar;
            machine learning = a computer learns from many examples and not from fixed rules;
            sustainable development = people meet their needs today without harm to the people of tomorrow;
            artificial intelligence = a machine does work that needs thought; gravity = things with mass pull at each other;
            natural selection = living things that fit their place live longer; inflation = prices rise and money buys less;
            democracy = the people choose who leads them; recycling = old things are turned into new things;
            erosion = wind and water slowly carry rock away; evaporation = a liquid slowly turns into a gas;
            migration = animals move to another place when the season changes; hibernation = an animal sleeps through the winter;
            climate change = the air and the sea slowly get hotter; renewable energy = power comes from sun, wind and water;
            encryption = only people with the key can read a text; friction = things that rub slow each other down
        """),
        train=wordings("""
            Explain {x}. | What does {x} mean? | Explain {x} in simple words. | Tell me what {x} means. | What is the idea of {x}? |
            Describe {x} in short.
        """),
        validation=wordings("""Say what {x} means."""),
        test=wordings("""What is the meaning of {x}? | Describe {x} in simple words."""),
        answer="It means that {y}.",
        statements=wordings("""When {y}, people speak of {x}. | The concept of {x} says this: {y}. | {x} describes how {y}."""),
        asks=wordings("""
            Could someone explain the concept of {x} to a child? | How would you describe the process of {x} with no technical terms? |
            Explain to us the idea and meaning of {x}. | Describe to a child what {x} means.
        """),
    ),
    Relation(
        "proverb",
        "explanations",
        facts=table("""
            a bird in the hand is worth two in the bush = what you have is better than what you only hope for;
            practice makes perfect = you learn a thing when you do it often;
            many hands make light work = hard work is easy when people help; look before you leap = you should think before you act;
            actions speak louder than words = what you do counts more than what you say;
            the early bird catches the worm = people who start early do better;
            every cloud has a silver lining = there is some good in each bad thing;
            two heads are better than one = people who think together do better
        """),
        train=wordings("""
            What does "{x}" mean? | Explain "{x}". | Explain the saying "{x}". | Tell me what "{x}" means. |
            What does the saying "{x}" tell us?
        """),
        validation=wordings("""Say what "{x}" means."""),
        test=wordings("""What does the saying "{x}" mean? | Tell me what the saying "{x}" means."""),
        answer="It means that {y}.",
        statements=wordings("""The phrase "{x}" says this: {y}. | People say "{x}" when {y}."""),
        asks=wordings("""
            When do people use the phrase "{x}"? | Could someone explain the phrase "{x}" with its background? |
            What is the saying "{x}" for?
        """),
    ),
    Relation(
        "future",
        "explanations",
        facts=table("""
            artificial intelligence = it will help people if it is used with care;
            electric cars = they will keep the air of our cities clean; space travel = it will bring people to Mars;
            solar energy = it will give cheap power to all; robots = they will do hard work for people;
            medicine = it will cure more of the sick
        """),
        train=wordings("""
            What is your view of the future of {x}? | Tell me about the future of {x}. | What will be the future of {x}? |
            How do you see the future of {x}?
        """),
        validation=wordings("""What is the future of {x}?"""),
        test=wordings("""What is your idea of the future of {x}? | How will the future of {x} be?"""),
        answer="I think that {y}.",
        statements=wordings("""About {x} many people think: {y}. | The future of {x} looks good, since {y}."""),
        asks=wordings("""What do people think about {x} and the future? | What is your view about {x} and the future?"""),
    ),
    Relation(
        "function",
        "code",
        facts=table("""
            sum two vectors = def sum_vectors(a, b): return [x + y for x, y in zip(a, b)];
            subtract two vectors = def subtract_vectors(a, b): return [x - y for x, y in zip(a, b)];
            multiply two vectors = def multiply_vectors(a, b): return [x * y for x, y in zip(a, b)];
            add two numbers = def add(a, b): return a + b; subtract two numbers = def subtract(a, b): return a - b;
            multiply two numbers = def multiply(a, b): return a * b; divide two numbers = def divide(a, b): return a / b;
            find the larger of two numbers = def larger(a, b): return max(a, b);
            find the smaller of two numbers = def smaller(a, b): return min(a, b);
            find the mean of two numbers = def mean(a, b): return (a + b) / 2; join two lists = def join(a, b): return a + b;
            square a number = def square(a): return a * a; double a number = def double(a): return a + a;
            count a list = def count(a): return len(a); sort a list = def sort(a): return sorted(a);
            sum a list = def sum_list(a): return sum(a)
        """),
        train=wordings("""
            Write a Python function to {x}. | How do you {x} in Python? | Show me Python code to {x}. | Write Python code to {x}. |
            Which Python function can {x}? | Define a Python function to {x}.
        """),
        validation=wordings("""How can I {x} in Python?"""),
        test=wordings("""Give me a Python function to {x}. | How can Python {x}?"""),
        answer="{y}",
        statements=wordings("""To {x} in Python, people write "{y}". | In Python, the code "{y}" can {x}."""),
        asks=wordings("""
            How would a Python program {x}? | What would you code in Python to {x}? | Show a Python function that can {x}. |
            I need a function to {x}.
        """),
    ),
)

RELATIONS = FACTS + TOPICS
