# zendMelding: back to a bronhouder, when its data breaks a rule (iWlz RFC0018); POL213, POL216.
package iwlz.zendmelding

import rego.v1

import data.iwlz.lib

message := input.query.arguments.meldingInput

identifier_of := {"Zorgaanbieder": "AGB", "Zorgkantoor": "UZOVI", "Onderneming": "KVK"}

claim_of := {"Zorgaanbieder": "agb", "Zorgkantoor": "uzovi", "Onderneming": "kvk"}

scope_fits if {
	some scope in input.scopes
	scope == sprintf("organisaties/%s/meldingen/melding:create", [organisation])
}

organisation := lib.profile.melding_organisations[message.ontvangerIDType]

failed contains {"rule": "bericht.scope-receiver"} if not scope_fits

failed contains {"rule": "bericht.instantie-type"} if {
	scope_fits
	not lib.claim("instantie_type")
}

# POL216: Silvester reports for a zorgaanbieder, as actor of the zorgkantoor that receives it.
for_zorgaanbieder if {
	lib.claim("act") in data.silvester
	lib.claim("instantie_type") == "Zorgkantoor"
	message.afzenderIDType == "AGB"
	message.ontvangerIDType == "UZOVI"
}

sender_type_fits if message.afzenderIDType == identifier_of[lib.claim("instantie_type")]

sender_type_fits if for_zorgaanbieder

failed contains {"rule": "bericht.afzender-type"} if {
	scope_fits
	not sender_type_fits
}

failed contains {"rule": "bericht.afzender-kvk"} if {
	scope_fits
	sender_type_fits
	lib.claim("instantie_type") == "Onderneming"
	not lib.is_vecozo
}

failed contains {"rule": "bericht.afzender-id"} if {
	scope_fits
	not sender_is_caller
}

sender_is_caller if message.afzenderID == lib.claim(claim_of[lib.claim("instantie_type")])

sender_is_caller if {
	for_zorgaanbieder
	message.ontvangerID == lib.claim("uzovi")
}

failed contains {"rule": "bericht.event"} if {
	scope_fits
	not message.eventType in lib.profile.melding_events
}

failed contains {"rule": "melding.ontvanger"} if {
	scope_fits
	message.eventType in lib.profile.melding_events
	not message.ontvangerIDType in lib.profile.melding_receivers
}

failed contains {"rule": "melding.subject", "found": each.subject} if {
	scope_fits
	lib.profile.melding_subjects
	some each in message.subjectList
	not regex.match(lib.profile.melding_subjects, each.subject)
}

failed contains {"rule": "bericht.record"} if {
	scope_fits
	lib.profile.record_ids
	some each in message.subjectList
	not regex.match(lib.profile.record_ids, each.recordID)
}
