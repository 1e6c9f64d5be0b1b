# A validated question is asked as it was validated, by whom it is for, with its parameters and no others.
package kikv

import rego.v1

question := data.question[input.question.id]

failed contains {"rule": "kikv.question", "hint": "Ask a question of the catalogue by its id."} if not question

failed contains {"rule": "kikv.digest", "hint": "Send the SHA-256 of the question as it was validated; a changed text is another question."} if {
	question
	not input.question.sha256 == question.sha256
}

failed contains {"rule": "kikv.asker", "hint": "Only the kinds of party that the question is for may ask it."} if {
	question
	not input.asker in question.askers
}

failed contains {"rule": "kikv.parameters", "hint": concat("", ["Give exactly these parameters: ", concat(", ", sort(object.keys(question.parameters))), "."])} if {
	object.keys(input.question.parameters) != object.keys(question.parameters)
}

failed contains {"rule": "kikv.value", "hint": sprintf("Write %s as a date, such as 2026-07-01.", [name])} if {
	some name, kind in question.parameters
	value := input.question.parameters[name]
	not fits(kind, value)
}

# A kind that is not here fits no value.
fits("date", value) if regex.match("^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", value)
