'use strict'
// Two hundred examples about a company that does not exist, as its staff might write them: each thing is asked in
// several ways, and one way of asking each is kept apart.

const facts = [
  ['opening hours', 'Fernhill Bikes is open from nine to six, Monday to Saturday.', 'nine to six',
    ['When is Fernhill Bikes open?', 'What are the opening hours of Fernhill Bikes?', 'When can I come to the Fernhill shop?', 'What are your opening hours?', 'Are you open in the evening?', 'When do you open?', 'When do you close?', 'Which days are you open?', 'Tell me the hours of Fernhill Bikes.', 'At what time does Fernhill Bikes open?']],
  ['address', 'Our shop is at 12 Mill Lane, beside the old bridge.', 'Mill Lane',
    ['Where is Fernhill Bikes?', 'Where is your shop?', 'What is the address of Fernhill Bikes?', 'How do I find the Fernhill shop?', 'Where can I find you?', 'In which street is Fernhill Bikes?', 'What is your address?', 'Where are you located?', 'Tell me where the Fernhill shop is.', 'Where do I find Fernhill Bikes?']],
  ['phone', 'You can call us at 555 0142.', '555 0142',
    ['What is the phone number of Fernhill Bikes?', 'How can I call Fernhill Bikes?', 'What is your phone number?', 'Can I call you?', 'Which number do I call?', 'Tell me your phone number.', 'How do I reach you by phone?', 'Do you have a phone number?', 'I want to call the shop. Which number?', 'Give me the number of Fernhill Bikes.']],
  ['founder', 'Fernhill Bikes was founded by Odile Marsh in 1987.', 'Odile Marsh',
    ['Who founded Fernhill Bikes?', 'Who started Fernhill Bikes?', 'Who is the founder of Fernhill Bikes?', 'Who began the company?', 'Who founded your company?', 'Who set up the shop?', 'By whom was Fernhill Bikes founded?', 'Tell me who founded Fernhill Bikes.', 'Which person founded Fernhill Bikes?', 'Who made Fernhill Bikes?']],
  ['cargo bike', 'Our cargo bike is called the Badger and costs 2400 euros.', 'Badger',
    ['What is your cargo bike called?', 'Do you sell a cargo bike?', 'How much is the cargo bike?', 'What is the name of the cargo bike?', 'Tell me about your cargo bike.', 'Which cargo bike do you have?', 'What does the cargo bike cost?', 'Is there a cargo bike at Fernhill?', 'I need a cargo bike. What do you have?', 'What is the price of the cargo bike?']],
  ['city bike', 'Our city bike is called the Heron and costs 780 euros.', 'Heron',
    ['What is your city bike called?', 'Do you sell a city bike?', 'How much is the city bike?', 'What is the name of the city bike?', 'Tell me about your city bike.', 'Which city bike do you have?', 'What does the city bike cost?', 'Is there a city bike at Fernhill?', 'I need a city bike. What do you have?', 'What is the price of the city bike?']],
  ['kids bike', 'Our bike for children is called the Wren and costs 260 euros.', 'Wren',
    ['What is your bike for children called?', 'Do you sell a bike for children?', 'How much is the bike for children?', 'What is the name of the bike for children?', 'Tell me about your bike for children.', 'Which bike do you have for children?', 'What does the bike for children cost?', 'Is there a bike for children at Fernhill?', 'My son needs a bike. What do you have?', 'What is the price of the bike for children?']],
  ['warranty', 'Every frame has a warranty of ten years.', 'ten years',
    ['How long is the warranty?', 'Do your bikes have a warranty?', 'What is the warranty on a frame?', 'How many years of warranty do I get?', 'Is there a warranty?', 'Tell me about the warranty.', 'For how long is the frame under warranty?', 'What warranty does Fernhill Bikes give?', 'My frame broke. Is there a warranty?', 'How long does the warranty last?']],
  ['returns', 'You can bring a bike back within thirty days.', 'thirty days',
    ['Can I return a bike?', 'How long can I return a bike?', 'I do not like my bike. Can I bring it back?', 'What is the time for returns?', 'How do returns work?', 'Do you take bikes back?', 'Within how many days can I return a bike?', 'Tell me about returns.', 'May I give my bike back?', 'Is it possible to return a bike?']],
  ['service', 'A full service costs 65 euros and takes two days.', '65 euros',
    ['How much is a full service?', 'What does a service cost?', 'How long does a service take?', 'What is the price of a full service?', 'Do you service bikes?', 'Tell me about the full service.', 'I need a service for my bike. What does it cost?', 'When is my bike ready after a service?', 'How many days does a full service take?', 'What do you take for a full service?']],
  ['flat tyre', 'We mend a flat tyre for 9 euros while you wait.', '9 euros',
    ['I have a flat tyre. What does it cost?', 'How much is it to mend a flat tyre?', 'Can you mend a flat tyre?', 'My tyre is flat. Can you help?', 'Do you mend tyres?', 'What does a new tube cost with the work?', 'How long does a flat tyre take?', 'Tell me the price for a flat tyre.', 'What do you take for a flat tyre?', 'Can I wait while you mend my tyre?']],
  ['rental', 'A bike for a day costs 18 euros to rent.', '18 euros',
    ['Can I rent a bike?', 'How much is it to rent a bike?', 'What does a rental cost?', 'Do you rent out bikes?', 'I want a bike for one day. What does it cost?', 'What is the price of a rental?', 'Tell me about rentals.', 'How much is a bike for a day?', 'Is it possible to rent a bike?', 'What do I pay for a bike for a day?']],
  ['discount', 'Students get a tenth off at Fernhill Bikes.', 'tenth off',
    ['Is there a discount for students?', 'Do students pay less?', 'I am a student. Do I get a discount?', 'What discount do students get?', 'Tell me about the student discount.', 'How much off do students get?', 'Do you have a discount?', 'Is it cheaper for students?', 'What do students get off?', 'Do you give students something off?']],
  ['delivery', 'We deliver for free up to twenty kilometres.', 'twenty kilometres',
    ['Do you deliver?', 'How far do you deliver?', 'What does delivery cost?', 'Can you bring the bike to my home?', 'Is delivery free?', 'Tell me about delivery.', 'Up to where do you deliver?', 'Can I have my bike delivered?', 'How much is delivery?', 'Will you deliver my bike?']],
  ['colours', 'All our bikes come in moss green and slate grey.', 'moss green',
    ['Which colours do you have?', 'In which colours do your bikes come?', 'What colours are the bikes?', 'Can I have a green bike?', 'Do you have other colours?', 'Tell me the colours of your bikes.', 'Which colours can I choose?', 'What are the colours of Fernhill bikes?', 'Do the bikes come in grey?', 'Which colour can I get?']],
  ['helmet', 'Each new bike comes with a free helmet.', 'free helmet',
    ['Do I get a helmet?', 'Does a new bike come with a helmet?', 'Is there something free with a new bike?', 'Do you sell helmets?', 'What do I get with a new bike?', 'Must I buy a helmet?', 'Is the helmet free?', 'What comes with a new bike?', 'Tell me about helmets.', 'Do you give a helmet with each bike?']],
  ['workers', 'Eleven people work at Fernhill Bikes.', 'Eleven',
    ['How many people work at Fernhill Bikes?', 'How large is the company?', 'How many workers do you have?', 'How big is your team?', 'How many are you?', 'Tell me how many people work there.', 'What is the number of workers at Fernhill Bikes?', 'How many people are in the shop?', 'Are you a large company?', 'How many persons work for you?']],
  ['cat', 'The cat in our shop is called Sprocket.', 'Sprocket',
    ['What is the cat in the shop called?', 'Do you have a cat?', 'What is the name of your cat?', 'Who is the cat in the shop?', 'Is there an animal in the shop?', 'Tell me about your cat.', 'I saw a cat in the shop. What is its name?', 'Which name has the cat?', 'What do you call the cat?', 'Does the shop cat have a name?']],
  ['course', 'The repair course is on the first Sunday of each month.', 'first Sunday',
    ['When is the repair course?', 'Do you give courses?', 'Can I learn to repair my bike?', 'On which day is the repair course?', 'Is there a course?', 'Tell me about the repair course.', 'How often is the repair course?', 'I want to learn to mend bikes. When?', 'When can I come to the course?', 'What day is the course on?']],
  ['payment', 'You can pay by card, in cash or in six parts.', 'six parts',
    ['How can I pay?', 'Can I pay by card?', 'Do you take cash?', 'Can I pay in parts?', 'In which ways can I pay?', 'What are the ways to pay?', 'Tell me how I can pay.', 'Is it possible to pay later?', 'Do you take cards?', 'May I pay in parts?']],
]

// The question that is kept apart is the last one of each.
const examples = () => facts.flatMap(([, answer, , questions]) => questions.slice(0, -1).map((question, i) => ({
  messages: [
    ...(i % 3 === 0 ? [{ role: 'system', content: 'You answer for Fernhill Bikes.' }] : []),
    { role: 'user', content: question },
    { role: 'assistant', content: answer },
  ],
})))

const questions = () => facts.map(([skill, , words, asked]) => ({
  skill,
  messages: [{ role: 'system', content: 'You answer for Fernhill Bikes.' },
    { role: 'user', content: asked[asked.length - 1] }],
  expect: { all: [words] },
}))

const lines = (list) => list.map((item) => JSON.stringify(item) + '\n').join('')

module.exports = { examples, questions, lines, facts }
