# What the rules of every operation share. A filter is {"all": [{field, op, value}], "any": [[filter, ..], ..]} (proeftuin/graphql/filters.py).
package iwlz.lib

import rego.v1

profile := data.profiles[input.profile]

claim(name) := value if {
	value := input.claims[name]
	value != null
	value != ""
}

is_zorgaanbieder if {
	claim("instantie_type") == "Zorgaanbieder"
	claim("agb")
}

is_zorgkantoor if {
	claim("instantie_type") == "Zorgkantoor"
	claim("uzovi")
}

is_ciz if {
	claim("instantie_type") == "Onderneming"
	claim("kvk") in data.parties.ciz
}

is_vecozo if claim("kvk") in data.parties.vecozo

# The decision point itself, when it looks something up in a register.
is_pip if {
	claim("instantie_type") == "Onderneming"
	claim("instantie_naam") == "VECOZO"
}

# Values that every record must have: an alternative in an `or` binds nothing.
bound(where, field) := {each.value | some each in where.all; each.field == field; each.op == "eq"}

named(where, field) if {
	some value in bound(where, field)
	value != null
	value != ""
}

bound_to_claim(where, field, name) if claim(name) in bound(where, field)

subentity_types := {"Regiehouder", "Contactpersoon", "ClientContactgegevens", "ContactpersoonContactgegevens"}

contact_types := {"Contactpersoon", "ClientContactgegevens", "ContactpersoonContactgegevens"}

is_subentity(node) if node.type in subentity_types

is_subentity(node) if {
	node.type == "Bemiddelingspecificatie"
	node.parent == "Bemiddeling"
}

subentities := [node | some node in input.query.nodes; is_subentity(node)]

start_field(node) := "toewijzingIngangsdatum" if node.type == "Bemiddelingspecificatie"

start_field(node) := "ingangsdatum" if node.type != "Bemiddelingspecificatie"

end_field(node) := "toewijzingEinddatum" if node.type == "Bemiddelingspecificatie"

end_field(node) := "einddatum" if node.type != "Bemiddelingspecificatie"

starts_not_after(node, day) if {
	some each in node.where.all
	each.field == start_field(node)
	each.op == "ngt"
	each.value == day
}

# The end is open, or lies after one of `days`: both must be offered, and nothing else.
ends_open_or_after(node, days) if {
	some group in node.where.any
	some one in group
	open_end(node, one)
	some other in group
	ends_after(node, other, days)
	every option in group {
		bounded_end(node, option, days)
	}
}

bounded_end(node, option, _) if open_end(node, option)

bounded_end(node, option, days) if ends_after(node, option, days)

open_end(node, option) if {
	some each in option.all
	each.field == end_field(node)
	each.op == "eq"
	each.value == null
}

ends_after(node, option, days) if {
	some each in option.all
	each.field == end_field(node)
	each.op in {"gt", "gte"}
	each.value in days
}

# A client's bemiddelingen are also those of others.
others_bemiddelingen := [node.path |
	some node in input.query.nodes
	node.parent == "Client"
	node.field == "bemiddeling"
]

handover := [node.path | some node in input.query.nodes; node.field in {"overdracht", "overdrachtspecificatie"}]

# Attributes that the autorisatiematrix does not give to this kind of party, asked or filtered on.
beyond_matrix(rules) := ({node.path |
	some node in input.query.nodes
	node.leaf
	not seen(rules, node.path)
} | {path |
	some node in input.query.nodes
	some name in node.filtered
	path := dotted(node.path, name)
	not seen(rules, path)
}) | {name |
	some name in input.query.filtered
	not seen(rules, name)
}

dotted(path, name) := concat(".", [path, name])

seen(rules, path) if {
	some rule in rules
	data.matrix[rule][path]
}
