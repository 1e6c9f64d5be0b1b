# Bemiddelingsregister, one bemiddelingspecificatie: POL102 and POL103 (zorgaanbieder), POL105 and POL106 (uitvoerend zorgkantoor).
package iwlz.bemiddelingspecificatie

import rego.v1

import data.iwlz.lib

where := input.query.where

of_instelling if count(lib.bound(where, "instelling")) > 0

of_zorgkantoor if count(lib.bound(where, "uitvoerendZorgkantoor")) > 0

asks_subentities if count(lib.subentities) > 0

failed contains {"rule": "br.spec.id"} if not lib.named(where, "bemiddelingspecificatieID")

failed contains {"rule": "br.spec.owner"} if {
	not of_instelling
	not of_zorgkantoor
}

failed contains {"rule": "br.spec.instelling"} if {
	of_instelling
	not lib.bound_to_claim(where, "instelling", "agb")
}

failed contains {"rule": "br.spec.uitvoerend"} if {
	of_zorgkantoor
	not lib.bound_to_claim(where, "uitvoerendZorgkantoor", "uzovi")
}

failed contains {"rule": "br.spec.overdracht", "found": path} if some path in lib.handover

failed contains {"rule": "br.spec.own-bemiddeling", "found": path} if some path in lib.others_bemiddelingen

failed contains {"rule": "br.spec.ingangsdatum"} if {
	asks_subentities
	not lib.named(where, "toewijzingIngangsdatum")
}

failed contains {"rule": "br.spec.vaststelling"} if {
	asks_subentities
	not lib.named(where, "vaststellingMoment")
}

failed contains {"rule": "br.spec.einddatum"} if {
	asks_subentities
	count(ends) == 0
}

ends := lib.bound(where, "toewijzingEinddatum")

days := lib.bound(where, "toewijzingIngangsdatum") | {day |
	some moment in lib.bound(where, "vaststellingMoment")
	day := substring(moment, 0, 10)
}

dates_given if {
	lib.named(where, "toewijzingIngangsdatum")
	lib.named(where, "vaststellingMoment")
	count(ends) > 0
}

failed contains {"rule": "br.spec.subfilter", "found": node.path, "hint": hint} if {
	dates_given
	some node in lib.subentities
	not overlaps(node)
	hint := sprintf(
		"where: {%sor: [{%s: {eq: null}}, {%s: {gt: toewijzingIngangsdatum}}]}",
		[until(node), lib.end_field(node), lib.end_field(node)],
	)
}

overlaps(node) if {
	lib.ends_open_or_after(node, days)
	starts_in_time(node)
}

starts_in_time(_) if null in ends

starts_in_time(node) if {
	some end in ends
	lib.starts_not_after(node, end)
}

until(_) := "" if null in ends

until(node) := sprintf("%s: {ngt: toewijzingEinddatum}, ", [lib.start_field(node)]) if not null in ends

known_ends := {end | some end in ends; end != null}

last_day(end) := sprintf("%d-05-31", [to_number(substring(end, 0, 4)) + 1])

two_years_after(end) := sprintf("%d%s", [to_number(substring(end, 0, 4)) + 2, substring(end, 4, 6)])

failed contains {"rule": "br.spec.may31", "found": node.path} if {
	some node in lib.subentities
	not node.type in lib.contact_types
	some end in known_ends
	input.today > last_day(end)
}

failed contains {"rule": "br.spec.two-years", "found": node.path} if {
	some node in lib.subentities
	node.type in lib.contact_types
	some end in known_ends
	input.today > two_years_after(end)
}

failed contains {"rule": "br.spec.pgb", "found": node.path} if {
	not lib.profile.attribute_matrix
	some node in input.query.nodes
	node.field == "pgbPercentage"
	node.path != "pgbPercentage"
}

matrix_rules := ["BRA0001", "BRA0002", "BRA0004", "BRA0005"] if of_instelling

matrix_rules := ["BRA0006", "BRA0007", "BRA0008", "BRA0009"] if {
	of_zorgkantoor
	not of_instelling
}

failed contains {"rule": "br.spec.matrix", "found": path} if {
	lib.profile.attribute_matrix
	some path in lib.beyond_matrix(matrix_rules)
}
